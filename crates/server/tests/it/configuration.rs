//! The configuration as an operator meets it: what the commands print, and how wrong files are refused.

use std::fs;

use crate::certificates::Authority;
use crate::harness::{self, FREE_PORT, Server, ask, command, connect, errors, folder, repository};

#[test]
fn an_unknown_key_stops_the_start_with_its_line_and_the_nearest_name() {
    let folder = folder();
    let text = "server_name = \"example.org\"\n\n[regstration]\nmode = \"open\"\n";
    fs::write(folder.path().join("holdfast.toml"), text).expect("a configuration file");
    for arguments in [&["--config", "holdfast.toml"][..], &["config", "check", "--config", "holdfast.toml"]] {
        let output = harness::output(command(folder.path()).args(arguments));
        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        let expected = "holdfast: unknown key `regstration` at holdfast.toml:3, did you mean `registration`?\n";
        assert_eq!(errors(&output), expected);
        assert!(output.stdout.is_empty(), "nothing was served");
    }
}

#[test]
fn every_problem_is_a_line() {
    let folder = folder();
    fs::write(folder.path().join("holdfast.toml"), "sever_name = 1\n[storage]\nengine = \"rocks\"\n").expect("a file");
    let output = harness::output(
        command(folder.path()).args(["--config", "holdfast.toml"]).env("HOLDFAST_REGISTRATION_MOD", "open"),
    );
    let errors = errors(&output);
    assert_eq!(errors.lines().count(), 4, "{errors}");
    assert!(errors.contains("did you mean `server_name`?"), "{errors}");
    assert!(errors.contains("`storage.engine` at holdfast.toml:3 is \"rocks\"; it must be \"embedded\","), "{errors}");
    assert!(errors.contains("did you mean `HOLDFAST_REGISTRATION_MODE`?"), "{errors}");
    assert!(errors.contains("`server_name` is missing"), "{errors}");
}

#[test]
fn the_environment_overrides_the_file() {
    let config = "server_name = \"file.example.org\"\n[[listen]]\naddress = \"192.0.2.1:1\"\n";
    let variables = [("HOLDFAST_SERVER_NAME", "variable.example.org"), ("HOLDFAST_LISTEN", FREE_PORT)];
    let server = Server::start(folder(), config, &variables, 1);
    assert!(server.ready[0].starts_with("holdfast serves variable.example.org on "), "{:?}", server.ready);
    assert_eq!(ask(connect(server.address(0)), "GET", "/health").status, 200);
}

#[test]
fn check_reads_the_files_that_are_named_and_starts_nothing() {
    let folder = folder();
    Authority::new(folder.path());
    fs::write(folder.path().join("empty.pem"), "").expect("a file");
    let listen = |certificate: &str, key: &str| {
        format!("[{{ address = \"192.0.2.1:1\", tls = {{ certificate = \"{certificate}\", key = \"{key}\" }} }}]")
    };
    let check = |variables: &[(&str, &str)]| {
        harness::output(command(folder.path()).args(["config", "check"]).envs(variables.iter().copied()))
    };

    let fine = check(&[("HOLDFAST_LISTEN", &listen("server.pem", "server.key"))]);
    assert!(fine.status.success(), "{}", errors(&fine));
    let said = String::from_utf8_lossy(&fine.stdout).into_owned();
    assert_eq!(said, "the configuration is fine: localhost on 192.0.2.1:1\n");

    for (certificate, key, message) in [
        ("absent.pem", "server.key", "cannot read the certificate absent.pem: No such file"),
        ("empty.pem", "server.key", "cannot read the certificate empty.pem: it holds no certificate"),
        ("server.pem", "server.pem", "cannot read the private key server.pem: it holds none in PEM"),
    ] {
        let output = check(&[("HOLDFAST_LISTEN", &listen(certificate, key))]);
        assert_eq!(output.status.code(), Some(78));
        assert!(errors(&output).contains(message), "expected {message}\ngot {}", errors(&output));
    }
    let both =
        check(&[("HOLDFAST_FEDERATION_EXTRA_CA", "[\"empty.pem\"]"), ("HOLDFAST_APPSERVICES", "[\"absent.yaml\"]")]);
    assert!(errors(&both).contains("cannot read empty.pem: it holds no certificate"), "{}", errors(&both));
    assert!(errors(&both).contains("cannot read absent.yaml: No such file"), "{}", errors(&both));
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (one, other) = (folder(), folder());
    Authority::new(one.path());
    Authority::new(other.path());
    fs::copy(other.path().join("server.key"), one.path().join("server.key")).expect("a copy");
    let listen = "[{ address = \"127.0.0.1:0\", tls = { certificate = \"server.pem\", key = \"server.key\" } }]";
    let output = harness::output(command(one.path()).env("HOLDFAST_LISTEN", listen));
    assert_eq!(output.status.code(), Some(78));
    assert!(
        errors(&output).contains("cannot use the certificate server.pem with the key server.key"),
        "{}",
        errors(&output)
    );
}

#[test]
fn show_prints_what_is_in_force_without_secrets() {
    let folder = folder();
    let config = "server_name = \"example.org\"\n[registration]\nshared_secret = \"hunter2\"\n";
    fs::write(folder.path().join("holdfast.toml"), config).expect("a configuration file");
    let output = harness::output(
        command(folder.path())
            .args(["config", "show"])
            .env("HOLDFAST_CONFIG", "holdfast.toml")
            .env("HOLDFAST_STORAGE_URL", "postgres://holdfast:hunter3@db/holdfast"),
    );
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", errors(&output));
    assert!(shown.contains("server_name = \"example.org\"  # at holdfast.toml:1\n"), "{shown}");
    assert!(shown.contains("shared_secret = \"(hidden)\""), "{shown}");
    assert!(shown.contains("engine = \"embedded\"\n"), "{shown}");
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn a_wrong_log_filter_is_refused() {
    let output =
        harness::output(command(folder().path()).env("HOLDFAST_LOG", "server=loud").env("HOLDFAST_LISTEN", FREE_PORT));
    assert_eq!(output.status.code(), Some(78));
    assert!(errors(&output).contains("an example is `info,server=debug`"), "{}", errors(&output));
}

#[test]
fn the_example_file_is_accepted_as_it_is() {
    let example = repository().join("deploy/holdfast.example.toml");
    let output = harness::output(command(folder().path()).args(["config", "show", "--config"]).arg(&example));
    assert!(output.status.success(), "{}", errors(&output));
}
