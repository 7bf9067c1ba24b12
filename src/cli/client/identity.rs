//! The identity of a person: a key pair in a file, and the same as words on paper.
//!
//! The words are those of BIP-39 for the 32 bytes of the seed, in English: 256 bits and a checksum of 8 make
//! 24 words. There is no passphrase, so that the words alone bring the identity back.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use bip39::{Language, Mnemonic};
use serde_json::json;
use zeroize::Zeroizing;

use super::super::exit::{Exit, Failure};
use super::super::key_access::quoted;
use super::super::output::Output;
use super::super::server::default_folder;
use super::args::{Arguments, IdentityCommand};
use super::prompt;
use crate::KeyPair;
use crate::api::{KeyFileError, LoadedKey};

/// Runs `identity`.
pub(super) fn run(command: &IdentityCommand, arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    match command {
        IdentityCommand::Show => show(arguments, output),
        IdentityCommand::Words => words(arguments, output),
        IdentityCommand::Restore => restore(arguments, output),
        IdentityCommand::New => make(arguments, output),
    }
}

/// Prints the public key and where it is kept.
pub(super) fn show(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let (path, key_pair) = load(arguments, output)?;
    print(&key_pair, &path, output);
    Ok(())
}

/// Reads the identity, or makes one if there is none.
pub(super) fn load(arguments: &Arguments, output: &Output) -> Result<(PathBuf, KeyPair), Failure> {
    let path = file(arguments)?;
    let LoadedKey { key_pair, created } = arguments.modes.file(&path).load_or_create()?;
    if created {
        output.note(&format!(
            "made a new identity for you in {}; keep a copy of that file, it is all that proves who you are",
            path.display()
        ));
    }
    Ok((path, key_pair))
}

fn file(arguments: &Arguments) -> Result<PathBuf, Failure> {
    match &arguments.identity {
        Some(path) => Ok(path.clone()),
        None => Ok(default_folder("profile-client")?.join("identity")),
    }
}

fn print(key_pair: &KeyPair, path: &Path, output: &Output) {
    let key = key_pair.public_key();
    output.line(&key.to_z32());
    output.note(&format!("kept in {}", path.display()));
    output.json(&json!({
        "public_key": key,
        "public_key_hex": key.to_hex(),
        "identity_file": path.display().to_string(),
    }));
}

/// Shows the words. They go to a terminal and nowhere else, and only after a question.
fn words(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let path = file(arguments)?;
    let Some(key_pair) = arguments.modes.file(&path).load()? else {
        let missing = Failure::from(KeyFileError::Missing(path));
        return Err(missing.hint("make an identity with: profile-client identity new"));
    };
    if !prompt::may_ask(arguments) || !io::stdout().is_terminal() {
        let what = "the words are shown on a terminal only";
        return Err(Failure::new(Exit::Usage, what).hint("run it without pipes, --json and --no-input"));
    }
    output.note("these words are your identity: show them to no camera and to nobody else");
    if !prompt::confirm("Show the words?")? {
        return Ok(());
    }
    let words = Mnemonic::from_entropy_in(Language::English, key_pair.seed()).expect("32 bytes have words");
    let words: Vec<&str> = words.words().collect();
    for row in 0..ROWS {
        let line = (row..words.len()).step_by(ROWS).map(|n| format!("{:>2} {:<12}", n + 1, words[n]));
        output.line(Zeroizing::new(line.collect::<String>()).trim_end());
    }
    output
        .note("write them down in this order; bring the identity back with: profile-client identity restore");
    Ok(())
}

/// Makes the file from words.
fn restore(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let path = file(arguments)?;
    let words = read_words(arguments)?;
    let key_pair = parse(&words)?;
    let file = arguments.modes.file(&path);
    match file.load()? {
        Some(known) if known == key_pair => output.note("this identity is here already"),
        Some(known) => return Err(taken(&known, &path)),
        None => {
            file.save(&key_pair)?;
            output.note("your identity is back");
        }
    }
    print(&key_pair, &path, output);
    Ok(())
}

/// Makes an identity where there is none.
fn make(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let path = file(arguments)?;
    let file = arguments.modes.file(&path);
    if let Some(known) = file.load()? {
        return Err(taken(&known, &path));
    }
    let key_pair = KeyPair::generate();
    file.save(&key_pair)?;
    output.note("write it down with: profile-client identity words");
    print(&key_pair, &path, output);
    Ok(())
}

fn taken(known: &KeyPair, path: &Path) -> Failure {
    let what = format!("{} holds another identity: {}", path.display(), known.public_key());
    let hint = format!(
        "keep both: name another file with --identity, or move this one away with mv {0} {0}.old",
        quoted(path)
    );
    Failure::new(Exit::Identity, what).hint(hint)
}

/// Asks for the words, or reads them from a pipe or a file.
fn read_words(arguments: &Arguments) -> Result<Zeroizing<String>, Failure> {
    if prompt::may_ask(arguments) {
        return prompt::answer("Your 24 words: ").map(Zeroizing::new);
    }
    if io::stdin().is_terminal() {
        let what = "the words have to be asked for";
        return Err(Failure::new(Exit::Usage, what).hint("leave out --no-input and --json, or use a pipe"));
    }
    let mut words = Zeroizing::new(String::with_capacity(2 * INPUT as usize));
    match io::stdin().take(INPUT).read_to_string(&mut words) {
        Ok(_) => Ok(words),
        Err(error) => {
            let error = anyhow::Error::new(error).context("cannot read the words");
            Err(Failure::from_error(Exit::Usage, error))
        }
    }
}

/// Returns the key pair that the words stand for. Numbers between them, as `words` prints them, are left
/// out.
fn parse(text: &str) -> Result<KeyPair, Failure> {
    let words = text.split_whitespace().filter(|word| !word.chars().all(|c| c.is_ascii_digit() || c == '.'));
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    let wrong = |what: String| {
        Failure::new(Exit::Usage, what).hint("compare each word with what you have written down")
    };
    let line = Zeroizing::new(words.join(" "));
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, &line).map_err(|error| match error {
        bip39::Error::UnknownWord(at) => wrong(format!("word {} is none of the list", at + 1)),
        bip39::Error::InvalidChecksum => wrong("the words do not belong together".into()),
        _ => wrong(format!("an identity has 24 words, these are {}", words.len())),
    })?;
    let entropy = Zeroizing::new(mnemonic.to_entropy_array().0);
    match entropy[..].first_chunk::<32>() {
        Some(seed) if mnemonic.word_count() == WORDS => Ok(KeyPair::from_seed(seed)),
        _ => Err(wrong(format!("an identity has 24 words, these are {}", words.len()))),
    }
}

/// Words of 32 bytes.
const WORDS: usize = 24;
/// Lines in which they are shown.
const ROWS: usize = 6;
/// Bytes read from a pipe: 24 words have 215 at most.
const INPUT: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of BIP-39 (trezor/python-mnemonic, vectors.json).
    const VECTORS: [([u8; 32], &str); 3] = [
        (
            [0; 32],
            "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
          abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
          abandon art",
        ),
        (
            [0x7f; 32],
            "legal winner thank year wave sausage worth useful legal winner thank year wave sausage \
          worth useful legal winner thank year wave sausage worth title",
        ),
        (
            [0xff; 32],
            "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo \
          zoo vote",
        ),
    ];

    #[test]
    fn words_stand_for_the_seed() {
        for (seed, words) in VECTORS {
            let shown = Mnemonic::from_entropy_in(Language::English, &seed).unwrap();
            assert_eq!(shown.words().collect::<Vec<_>>().join(" "), words);
            assert_eq!(parse(words).unwrap(), KeyPair::from_seed(&seed));
            let numbered: Vec<_> =
                words.split(' ').enumerate().map(|(n, word)| format!("{}. {word}", n + 1)).collect();
            let written = numbered.join("\n").to_uppercase();
            assert_eq!(parse(&written).unwrap(), KeyPair::from_seed(&seed));
        }
    }

    #[test]
    fn wrong_words_are_named() {
        let (_, words) = VECTORS[1];
        for (wrong, what) in [
            (words.replacen("winner", "wimmer", 1), "word 2 is none of the list"),
            (words.replacen("legal winner", "winner legal", 1), "the words do not belong together"),
            (words.replace(" title", ""), "an identity has 24 words, these are 23"),
            (
                "legal winner thank year wave sausage worth useful legal winner thank yellow".into(),
                "an identity has 24 words, these are 12",
            ),
            (String::new(), "an identity has 24 words, these are 0"),
        ] {
            let failure = parse(&wrong).unwrap_err();
            assert_eq!((failure.exit, failure.error.to_string()), (Exit::Usage, what.into()));
        }
    }
}
