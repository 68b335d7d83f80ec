//! The command line and the config file of nsqd. The input is cut at the first 0xff byte: arguments, one a line, then TOML.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nsq_service::flags::{Flag, Program};
use nsqd::options::{FLAGS, Options};

fuzz_target!(|data: &[u8]| {
    let (args, toml) = match data.iter().position(|byte| *byte == 0xff) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (&b"--config=c"[..], data),
    };
    let (Ok(args), Ok(toml)) = (std::str::from_utf8(args), std::str::from_utf8(toml)) else {
        return;
    };
    let args = args.lines().map(str::to_owned);
    match Program::new("nsqd", FLAGS).parse_with(args, |_| Ok(toml.to_owned())) {
        Ok(values) => {
            for key in FLAGS.iter().filter_map(Flag::config_key) {
                let _ = values.render(&key);
            }
            let _ = Options::try_from(&values);
        }
        Err(exit) => assert!(
            exit.code == 0 || !exit.stderr.is_empty(),
            "an end with an error says why"
        ),
    }
});
