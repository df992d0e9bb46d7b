//! Layers, messages and the reference, on files in a temporary folder.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).expect("a file in the temporary folder");
        path
    }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
}

fn problems(text: &str, environment: &[(&str, &str)]) -> String {
    let folder = Folder::new();
    let file = folder.write("holdfast.toml", text);
    let problems = load(Some(&file), variables(environment)).expect_err("a refusal").to_string();
    problems.replace(&format!("{}/", folder.0.path().display()), "")
}

fn loaded(text: &str, environment: &[(&str, &str)]) -> Loaded {
    let folder = Folder::new();
    let file = folder.write("holdfast.toml", text);
    load(Some(&file), variables(environment)).expect("a configuration without problems")
}

/// The example of the issue that fixed the names of the keys.
const FULL: &str = r#"
server_name = "hs1.example.org"
data_dir = "/var/lib/holdfast"
default_room_version = "12"
appservices = []
[[listen]]
address = "127.0.0.1:8008"
[[listen]]
address = "127.0.0.1:8448"
tls = { certificate = "server.pem", key = "server.key" }
[storage]
engine = "embedded"
url = "postgres://holdfast:hunter2@db/holdfast"
[registration]
mode = "closed"
tokens = ["first-token"]
shared_secret = "hunter3"
[federation]
enabled = true
extra_ca = ["ca.pem"]
allow_private_addresses = false
[rooms]
encryption = "default"
[limits]
enabled = true
[passwords]
cost = "normal"
"#;

#[test]
fn without_a_file_localhost_is_served_on_port_8008() {
    let config = load(None, []).expect("the defaults").config;
    assert_eq!(config.server_name.as_str(), "localhost");
    assert_eq!(config.data_dir, PathBuf::from("holdfast-data"));
    assert_eq!(config.default_room_version.as_str(), "12");
    let [listen] = &config.listen[..] else { panic!("one listener: {:?}", config.listen) };
    assert_eq!((listen.address.to_string(), listen.tls.is_none()), ("127.0.0.1:8008".to_owned(), true));
    assert_eq!(config.storage.engine, Engine::Embedded);
    assert_eq!(config.registration.mode, RegistrationMode::Closed);
    assert_eq!(config.rooms.encryption, Encryption::Default);
    assert_eq!(config.passwords.cost, PasswordCost::Normal);
    assert!(config.federation.enabled && config.limits.enabled && !config.federation.allow_private_addresses);
}

#[test]
fn every_key_is_read_and_paths_are_relative_to_the_file() {
    let folder = Folder::new();
    let file = folder.write("holdfast.toml", FULL);
    let config = load(Some(&file), []).expect("the example of the issue").config;
    assert_eq!(config.server_name.as_str(), "hs1.example.org");
    assert_eq!(config.data_dir, PathBuf::from("/var/lib/holdfast"));
    assert_eq!(config.listen.len(), 2);
    let tls = config.listen[1].tls.as_ref().expect("TLS on the second listener");
    assert_eq!(tls.certificate, folder.0.path().join("server.pem"));
    assert_eq!(tls.key, folder.0.path().join("server.key"));
    assert_eq!(config.federation.extra_ca, [folder.0.path().join("ca.pem")]);
    assert_eq!(config.registration.tokens[0].expose(), "first-token");
    assert_eq!(config.registration.shared_secret.expect("a secret").expose(), "hunter3");
    assert!(config.storage.url.expect("an address").expose().contains("hunter2"));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_name() {
    let text = "server_name = \"a\"\n\n[regstration]\nmode = \"open\"\n";
    assert_eq!(problems(text, &[]), "unknown key `regstration` at holdfast.toml:3, did you mean `registration`?");
    let text = "server_name = \"a\"\n[storage]\nengin = \"sled\"\n";
    assert_eq!(problems(text, &[]), "unknown key `storage.engin` at holdfast.toml:3, did you mean `storage.engine`?");
    let text = "server_name = \"a\"\nshared_secret = \"x\"\n";
    let hint = "did you mean `registration.shared_secret`?";
    assert_eq!(problems(text, &[]), format!("unknown key `shared_secret` at holdfast.toml:2, {hint}"));
    let text = "server_name = \"a\"\n[[listen]]\naddress = \"[::1]:1\"\ntls = { cert = \"x\", key = \"y\" }\n";
    assert!(problems(text, &[]).contains("unknown key `listen[].tls.cert` at holdfast.toml:4"));
    assert_eq!(problems("server_name = \"a\"\nbogus = 1\n", &[]), "unknown key `bogus` at holdfast.toml:2");
}

#[test]
fn wrong_types_and_values_say_what_is_allowed() {
    for (text, message) in [
        ("[limits]\nenabled = \"yes\"", "`limits.enabled` at holdfast.toml:3 is a string; it must be true or false"),
        (
            "[rooms]\nencryption = \"alway\"",
            "`rooms.encryption` at holdfast.toml:3 is \"alway\"; it must be \"required\", \"default\" or \"optional\"",
        ),
        (
            "default_room_version = \"13\"",
            "`default_room_version` at holdfast.toml:2 is \"13\"; it must be \"1\" to \"12\"",
        ),
        (
            "default_room_version = 12",
            "`default_room_version` at holdfast.toml:2 is an integer; it must be \"1\" to \"12\"",
        ),
        ("storage = \"sled\"", "`storage` at holdfast.toml:2 is a string; it must be a table"),
        ("listen = []", "`listen` at holdfast.toml:2 is empty; it must be one or more tables [[listen]]"),
        ("[listen]\naddress = \"[::1]:1\"", "`listen` at holdfast.toml:2 is a table; it must be one or more tables"),
        (
            "[[listen]]\naddress = \"localhost:8008\"",
            "`listen[].address` at holdfast.toml:3 is \"localhost:8008\"; it must",
        ),
        ("[[listen]]\ntls.key = \"k\"", "`listen[].address` at holdfast.toml:2 is missing; it must be an IP address"),
        (
            "[[listen]]\ntls.key = \"k\"",
            "`listen[].tls.certificate` at holdfast.toml:2 is missing; it must be a PEM file",
        ),
        (
            "listen = [{ address = \"[::1]:1\" }, { address = \"[::1]:1\" }]",
            "`listen[].address` at holdfast.toml:2 is [::1]:1, as of an earlier listener",
        ),
        ("appservices = [1]", "`appservices` at holdfast.toml:2 holds an integer; it must be a list"),
        ("data_dir = \"\"", "`data_dir` at holdfast.toml:2 is empty; it must be a directory"),
        ("[storage]\nengine = \"postgres\"", "`storage.url` is missing"),
    ] {
        let problems = problems(&format!("server_name = \"a\"\n{text}"), &[]);
        assert!(problems.contains(message), "{text}\nexpected {message}\ngot {problems}");
    }
}

#[test]
fn all_problems_are_reported_at_once_and_each_only_once() {
    let text = "server_name = \"ex ample\"\nbogus = 1\n[limits]\nenabled = 1\n[passwords]\ncost = \"none\"\n";
    let all = problems(text, &[("HOLDFAST_BOGUS", "1")]);
    assert_eq!(all.lines().count(), 5, "{all}");
    let wrong_shape = problems("server_name = 1\n", &[]);
    assert_eq!(wrong_shape.lines().count(), 1, "{wrong_shape}");
}

#[test]
fn a_file_must_name_the_server_and_a_broken_one_is_not_judged_further() {
    assert!(problems("", &[]).starts_with("`server_name` is missing; it must be a domain name"));
    let broken = problems("server_name = \"a\nmode=\n", &[]);
    assert!(broken.contains("this is not TOML at holdfast.toml:1"), "{broken}");
    assert!(!broken.contains("missing;"), "{broken}");
    let absent = load(Some(Path::new("/nowhere/holdfast.toml")), []).expect_err("no such file").to_string();
    assert!(absent.starts_with("cannot read the configuration file /nowhere/holdfast.toml:"), "{absent}");
}

#[test]
fn the_environment_overrides_every_kind_of_key() {
    let loaded = loaded(
        FULL,
        &[
            ("HOLDFAST_SERVER_NAME", "other.example.org"),
            ("HOLDFAST_STORAGE__ENGINE", "memory"),
            ("HOLDFAST_LIMITS_ENABLED", "false"),
            ("HOLDFAST_LISTEN", "[{ address = \"127.0.0.1:0\" }]"),
            ("HOLDFAST_REGISTRATION_TOKENS", "[\"a\", \"b\"]"),
            ("HOLDFAST_DATA_DIR", "here"),
            ("HOLDFAST_LOG", "debug"),
            ("HOLDFASTER", "not ours"),
        ],
    );
    let config = &loaded.config;
    assert_eq!(config.server_name.as_str(), "other.example.org");
    assert_eq!(config.storage.engine, Engine::Memory);
    assert!(!config.limits.enabled);
    assert_eq!(config.listen.len(), 1);
    assert_eq!(config.registration.tokens.len(), 2);
    assert_eq!(config.data_dir, PathBuf::from("here"), "relative to where the server was started");
    assert_eq!(loaded.place("server_name"), Some(&Place::Variable("HOLDFAST_SERVER_NAME".to_owned())));
}

#[test]
fn every_key_has_a_variable_of_its_own() {
    let mut names: Vec<String> = KEYS.iter().filter_map(|key| keys::variable(key.path)).collect();
    assert_eq!(names.len(), KEYS.iter().filter(|key| !key.path.contains('[')).count());
    names.sort();
    names.dedup();
    assert_eq!(names.len(), KEYS.iter().filter(|key| !key.path.contains('[')).count(), "two keys share a variable");
}

#[test]
fn a_wrong_variable_is_refused_with_its_name() {
    let text = "server_name = \"a\"\n";
    for (variable, message) in [
        (
            ("HOLDFAST_SEVER_NAME", "x"),
            "unknown environment variable `HOLDFAST_SEVER_NAME`, did you mean `HOLDFAST_SERVER_NAME`?",
        ),
        (
            ("HOLDFAST_LIMITS_ENABLED", "maybe"),
            "`limits.enabled` in the environment variable HOLDFAST_LIMITS_ENABLED is not TOML; it must be true or false",
        ),
        (
            ("HOLDFAST_LISTEN", "[{ adress = \"[::1]:1\" }]"),
            "unknown key `listen[].adress` in the environment variable HOLDFAST_LISTEN, did you mean `listen[].address`?",
        ),
    ] {
        let problems = problems(text, &[variable]);
        assert!(problems.contains(message), "expected {message}\ngot {problems}");
    }
    let twice = problems(text, &[("HOLDFAST_DATA_DIR", "a"), ("HOLDFAST_DATA__DIR", "b")]);
    assert!(twice.contains("`data_dir` is set twice"), "{twice}");
}

#[test]
fn secrets_come_from_files_too_and_the_environment_takes_the_place_of_either() {
    let folder = Folder::new();
    folder.write("secret", "from the file\n");
    let text = "server_name = \"a\"\n[registration]\nshared_secret_file = \"secret\"\n";
    let file = folder.write("holdfast.toml", text);
    let secret = |environment: &[(&str, &str)]| {
        let config = load(Some(&file), variables(environment)).expect("a secret in a file").config;
        config.registration.shared_secret.expect("a secret").expose().clone()
    };
    assert_eq!(secret(&[]), "from the file");
    assert_eq!(secret(&[("HOLDFAST_REGISTRATION_SHARED_SECRET", "from the environment")]), "from the environment");

    let both = problems("server_name = \"a\"\n[storage]\nurl = \"postgres://x\"\nurl_file = \"y\"\n", &[]);
    assert_eq!(both, "`storage.url_file` at holdfast.toml:4 and `storage.url` are both set; set only one");
    let absent = problems(text, &[]);
    assert!(
        absent.starts_with("`registration.shared_secret_file` at holdfast.toml:3: cannot read secret:"),
        "{absent}"
    );
}

#[test]
fn problems_with_secrets_do_not_tell_them() {
    let problems = problems(
        "server_name = \"a\"\n[storage]\nurl = \"mysql://hunter2\"\n[registration]\ntokens = [\"hunter2 \"]\nshared_secret = \"\"\n",
        &[],
    );
    assert!(!problems.contains("hunter2"), "{problems}");
    assert!(problems.contains("`storage.url` at holdfast.toml:3 has another scheme"), "{problems}");
    assert!(
        problems.contains("`registration.tokens` at holdfast.toml:5 has an item that is no token, number 1"),
        "{problems}"
    );
    assert!(problems.contains("`registration.shared_secret` at holdfast.toml:6 is empty"), "{problems}");
}

#[test]
fn what_is_shown_hides_secrets_and_loads_again() {
    let folder = Folder::new();
    let file = folder.write("holdfast.toml", FULL);
    let shown =
        load(Some(&file), variables(&[("HOLDFAST_DATA_DIR", "/srv/\"quoted\"")])).expect("a configuration").show();
    for secret in ["hunter2", "hunter3", "first-token"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("engine = \"embedded\"  # at "), "{shown}");
    assert!(shown.contains("# in the environment variable HOLDFAST_DATA_DIR"), "{shown}");

    let bare = loaded("server_name = \"a.example.org\"\n", &[("HOLDFAST_DATA_DIR", "/srv/\"quoted\"")]).show();
    let again = loaded(&bare, &[]).config;
    assert_eq!(again.server_name.as_str(), "a.example.org");
    assert_eq!(again.data_dir, PathBuf::from("/srv/\"quoted\""));
}

#[test]
fn a_configuration_does_not_print_its_secrets() {
    let printed = format!("{:?}", loaded(FULL, &[]).config);
    assert!(!printed.contains("hunter") && !printed.contains("first-token"), "{printed}");
}

#[test]
fn the_allowed_names_of_a_choice_are_those_that_are_accepted() {
    fn names<T: values::Choice>() -> Vec<&'static str> {
        T::NAMES.iter().map(|(name, _)| *name).collect()
    }
    for (path, names) in [
        ("storage.engine", names::<Engine>()),
        ("registration.mode", names::<RegistrationMode>()),
        ("rooms.encryption", names::<Encryption>()),
        ("passwords.cost", names::<PasswordCost>()),
    ] {
        let allowed = keys::find(path).expect(path).allowed.replace(" or ", ", ").replace('"', "");
        assert_eq!(allowed.split(", ").collect::<Vec<_>>(), names);
    }
}

#[test]
fn numbers_networks_and_contacts_are_read_and_what_is_wrong_with_them_is_said() {
    let text = r#"
server_name = "example.org"
trusted_proxies = ["10.0.0.0/8"]
media.max_upload_bytes = 1_000
support.contacts = [{ role = "m.role.admin", email_address = "admin@example.org" }]
"#;
    let config = loaded(text, &[("HOLDFAST_WELL_KNOWN_CLIENT", "https://example.org/")]).config;
    assert_eq!(config.media.max_upload_bytes, 1_000);
    assert!(config.trusted_proxies[0].contains("10.1.2.3".parse().expect("an address")));
    assert_eq!(config.client_address.as_deref(), Some("https://example.org"));
    assert_eq!(config.support.contacts[0].email_address.as_deref(), Some("admin@example.org"));
    assert_eq!(loaded("server_name = \"a\"\n", &[]).config.media.max_upload_bytes, 104_857_600);

    for (line, part) in [
        ("media.max_upload_bytes = 0", "is 0; it must be a number from 1"),
        ("media.max_upload_bytes = -1", "is -1; it must be a number from 1"),
        ("media.max_upload_bytes = \"1\"", "is a string"),
        ("trusted_proxies = [\"10.0.0.0/99\"]", "holds \"10.0.0.0/99\""),
        ("well_known.client = \"example.org\"", "is \"example.org\""),
        ("support.contacts = [{ matrix_id = \"@a:b\" }]", "`support.contacts[].role` at holdfast.toml:2 is missing"),
        ("support.contacts = [{ role = \"m.role.admin\" }]", "is missing, and so is `email_address`"),
        ("support.contacts = [{ role = \"m.role.admin\", matrix_id = \"a\" }]", "is \"a\"; it must be a user id"),
    ] {
        let said = problems(&format!("server_name = \"a\"\n{line}\n"), &[]);
        assert!(said.contains(part) && said.lines().count() == 1, "{line}: {said}");
    }
}
