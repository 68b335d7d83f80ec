//! AUTH on a server without authorization: cases 267 and 268.

use nsq_testkit::nsqd;

#[test]
fn nd_267_a_server_without_authorization_says_so() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command_with("AUTH", b"secret");
    conn.expect_fatal("E_AUTH_DISABLED AUTH disabled");
}

#[test]
fn nd_268_parameters_and_sizes_are_checked_before_that() {
    let daemon = nsqd!();
    for line in ["AUTH x", "AUTH "] {
        let mut conn = daemon.connect();
        conn.command(line);
        conn.expect_fatal("E_INVALID AUTH invalid number of parameters");
    }
    for (size, text) in [
        (0, "E_BAD_BODY AUTH invalid body size 0"),
        (-1, "E_BAD_BODY AUTH invalid body size -1"),
        (5_242_881, "E_BAD_BODY AUTH body too big 5242881 > 5242880"),
    ] {
        let mut conn = daemon.connect();
        conn.send(b"AUTH\n");
        conn.send(&i32::to_be_bytes(size));
        conn.expect_fatal(text);
    }
}
