//! The 64 emoji of SAS verification and their English names.
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#sas-method-emoji>

/// An emoji and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emoji {
    /// The characters.
    pub symbol: &'static str,
    /// The English name.
    pub name: &'static str,
}

const fn emoji(symbol: &'static str, name: &'static str) -> Emoji {
    Emoji { symbol, name }
}

/// The emoji that six bits stand for.
pub(super) const EMOJI: [Emoji; 64] = [
    emoji("\u{1f436}", "Dog"),
    emoji("\u{1f431}", "Cat"),
    emoji("\u{1f981}", "Lion"),
    emoji("\u{1f40e}", "Horse"),
    emoji("\u{1f984}", "Unicorn"),
    emoji("\u{1f437}", "Pig"),
    emoji("\u{1f418}", "Elephant"),
    emoji("\u{1f430}", "Rabbit"),
    emoji("\u{1f43c}", "Panda"),
    emoji("\u{1f413}", "Rooster"),
    emoji("\u{1f427}", "Penguin"),
    emoji("\u{1f422}", "Turtle"),
    emoji("\u{1f41f}", "Fish"),
    emoji("\u{1f419}", "Octopus"),
    emoji("\u{1f98b}", "Butterfly"),
    emoji("\u{1f337}", "Flower"),
    emoji("\u{1f333}", "Tree"),
    emoji("\u{1f335}", "Cactus"),
    emoji("\u{1f344}", "Mushroom"),
    emoji("\u{1f30f}", "Globe"),
    emoji("\u{1f319}", "Moon"),
    emoji("\u{2601}\u{fe0f}", "Cloud"),
    emoji("\u{1f525}", "Fire"),
    emoji("\u{1f34c}", "Banana"),
    emoji("\u{1f34e}", "Apple"),
    emoji("\u{1f353}", "Strawberry"),
    emoji("\u{1f33d}", "Corn"),
    emoji("\u{1f355}", "Pizza"),
    emoji("\u{1f382}", "Cake"),
    emoji("\u{2764}\u{fe0f}", "Heart"),
    emoji("\u{1f600}", "Smiley"),
    emoji("\u{1f916}", "Robot"),
    emoji("\u{1f3a9}", "Hat"),
    emoji("\u{1f453}", "Glasses"),
    emoji("\u{1f527}", "Spanner"),
    emoji("\u{1f385}", "Santa"),
    emoji("\u{1f44d}", "Thumbs Up"),
    emoji("\u{2602}\u{fe0f}", "Umbrella"),
    emoji("\u{231b}", "Hourglass"),
    emoji("\u{23f0}", "Clock"),
    emoji("\u{1f381}", "Gift"),
    emoji("\u{1f4a1}", "Light Bulb"),
    emoji("\u{1f4d5}", "Book"),
    emoji("\u{270f}\u{fe0f}", "Pencil"),
    emoji("\u{1f4ce}", "Paperclip"),
    emoji("\u{2702}\u{fe0f}", "Scissors"),
    emoji("\u{1f512}", "Lock"),
    emoji("\u{1f511}", "Key"),
    emoji("\u{1f528}", "Hammer"),
    emoji("\u{260e}\u{fe0f}", "Telephone"),
    emoji("\u{1f3c1}", "Flag"),
    emoji("\u{1f682}", "Train"),
    emoji("\u{1f6b2}", "Bicycle"),
    emoji("\u{2708}\u{fe0f}", "Aeroplane"),
    emoji("\u{1f680}", "Rocket"),
    emoji("\u{1f3c6}", "Trophy"),
    emoji("\u{26bd}", "Ball"),
    emoji("\u{1f3b8}", "Guitar"),
    emoji("\u{1f3ba}", "Trumpet"),
    emoji("\u{1f514}", "Bell"),
    emoji("\u{2693}", "Anchor"),
    emoji("\u{1f3a7}", "Headphones"),
    emoji("\u{1f4c1}", "Folder"),
    emoji("\u{1f4cc}", "Pin"),
];
