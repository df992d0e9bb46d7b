//! From the bytes of an image to those of a smaller one. Untrusted images: their size is looked at before they are decoded,
//! and decoders get only so much memory.

use std::io::Cursor;

use base::limits;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::{Method, Size};
use crate::error::Refusal;

/// Of 100: what photographs of this size need.
const JPEG_QUALITY: u8 = 80;

/// What became of it.
#[derive(Debug)]
pub(super) enum Made {
    /// Nothing: the image is no larger than was wanted.
    SmallEnough,
    /// A smaller image.
    Image { bytes: Vec<u8>, content_type: &'static str },
}

/// Makes an image of `size` from the one in `bytes`.
pub(super) fn shrink(bytes: &[u8], size: Size) -> Result<Made, Refusal> {
    let refused = |why| Refusal::NoThumbnail { why };
    let format = image::guess_format(bytes).map_err(|_| refused("it is no image of a known kind"))?;
    let is_shown = matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Gif | ImageFormat::WebP);
    if !is_shown {
        return Err(refused("it is no image of a known kind"));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(memory());
    let mut decoder = reader.into_decoder().map_err(|_| refused("the image is damaged"))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits::THUMBNAIL_PIXELS {
        return Err(refused("the image has too many pixels"));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if width <= size.width && height <= size.height && orientation == Orientation::NoTransforms {
        return Ok(Made::SmallEnough);
    }
    let mut image = DynamicImage::from_decoder(decoder).map_err(|_| refused("the image is damaged"))?;
    image.apply_orientation(orientation);
    let small = match size.method {
        Method::Crop => image.resize_to_fill(size.width, size.height, FilterType::Triangle),
        Method::Scale if image.width() <= size.width && image.height() <= size.height => image,
        Method::Scale => image.resize(size.width, size.height, FilterType::Triangle),
    };
    encode(&small).ok_or(refused("the image cannot be written smaller"))
}

/// What a decoder may use.
fn memory() -> Limits {
    let mut memory = Limits::default();
    memory.max_alloc = Some(limits::THUMBNAIL_MEMORY_BYTES);
    memory.max_image_width = Some(limits::THUMBNAIL_SIDE);
    memory.max_image_height = Some(limits::THUMBNAIL_SIDE);
    memory
}

/// As PNG where something shines through, else as JPEG, which is smaller.
fn encode(image: &DynamicImage) -> Option<Made> {
    let mut bytes = Vec::new();
    if image.color().has_alpha() {
        let image = DynamicImage::from(image.to_rgba8());
        image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).ok()?;
        return Some(Made::Image { bytes, content_type: "image/png" });
    }
    let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
    image.to_rgb8().write_with_encoder(encoder).ok()?;
    Some(Made::Image { bytes, content_type: "image/jpeg" })
}
