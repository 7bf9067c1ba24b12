//! The identity of a person: a key pair in a file, and the same as words on paper.
//!
//! The words are those of BIP-39 for the 32 bytes of the seed, in English: 256 bits and a checksum of 8 make
//! 24 words. There is no passphrase, so that the words alone bring the identity back.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use bip39::{Language, Mnemonic};
use serde_json::json;
use zeroize::Zeroizing;

use super::super::exit::{Exit, Failure};
use super::super::files;
use super::super::key_access::quoted;
use super::super::output::Output;
use super::super::prompt;
use super::super::server::default_folder;
use super::args::{Arguments, IdentityCommand};
use super::names;
use super::protected::{COST, OpenError, Protected};
use super::secret::{self, Passphrase};
use crate::api::key_file::render;
use crate::api::{KeyFileError, LoadedKey};
use crate::{KeyPair, PublicKey};

/// A key pair that was read, and the passphrase of its file, if it has one.
pub(super) struct Opened {
    pub(super) key_pair: KeyPair,
    pub(super) passphrase: Option<Passphrase>,
}

/// Runs `identity`, but for what needs a server.
pub(super) fn run(command: &IdentityCommand, arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    match command {
        IdentityCommand::Show => show(arguments, output),
        IdentityCommand::Words => words(arguments, output),
        IdentityCommand::Restore => restore(arguments, output),
        IdentityCommand::Protect => protect(arguments, output),
        IdentityCommand::Unprotect => unprotect(arguments, output),
        IdentityCommand::New => make(arguments, output),
        IdentityCommand::Rotate { .. } => Ok(()),
    }
}

/// Prints the public key and where it is kept.
pub(super) fn show(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let (path, key) = public_key(arguments, output)?;
    print_key(&key, &path, output);
    Ok(())
}

/// Reads the public key of the identity, which needs no passphrase, or makes an identity if there is none.
pub(super) fn public_key(arguments: &Arguments, output: &Output) -> Result<(PathBuf, PublicKey), Failure> {
    let path = file(arguments)?;
    match present(&path, arguments)? {
        Some(key) => Ok((path, key)),
        None => load(arguments, output).map(|(path, key_pair)| (path, *key_pair.public_key())),
    }
}

/// Reads the identity, or makes one if there is none.
pub(super) fn load(arguments: &Arguments, output: &Output) -> Result<(PathBuf, KeyPair), Failure> {
    let path = file(arguments)?;
    names::refuse_interrupted(&path)?;
    let LoadedKey { key_pair, created } = match arguments.modes.file(&path).load_or_create() {
        Err(KeyFileError::Protected(_)) => {
            let passphrase = secret::known(arguments, &path)?;
            let key_pair = unlock(&read_protected(&path, arguments)?, &passphrase, &path)?;
            return Ok((path, key_pair));
        }
        loaded => loaded?,
    };
    if created {
        output.note(&format!(
            "made a new identity for you in {}; keep a copy of that file, it is all that proves who you are",
            path.display()
        ));
    }
    Ok((path, key_pair))
}

/// Reads an identity; `None` if there is none.
pub(super) fn open(path: &Path, arguments: &Arguments) -> Result<Option<Opened>, Failure> {
    open_with(path, None, arguments)
}

/// Does the same, with a passphrase that may be its own.
pub(super) fn open_with(
    path: &Path,
    passphrase: Option<&Passphrase>,
    arguments: &Arguments,
) -> Result<Option<Opened>, Failure> {
    match arguments.modes.file(path).load() {
        Err(KeyFileError::Protected(_)) => {
            let protected = read_protected(path, arguments)?;
            let passphrase = match passphrase {
                Some(passphrase) => passphrase.clone(),
                None => secret::known(arguments, path)?,
            };
            let key_pair = unlock(&protected, &passphrase, path)?;
            Ok(Some(Opened { key_pair, passphrase: Some(passphrase) }))
        }
        loaded => Ok(loaded?.map(|key_pair| Opened { key_pair, passphrase: None })),
    }
}

fn read_protected(path: &Path, arguments: &Arguments) -> Result<Protected, Failure> {
    let text = arguments.modes.file(path).read_text()?.ok_or_else(|| missing(path))?;
    Protected::parse(&text).map_err(|what| KeyFileError::Damaged { path: path.to_owned(), what }.into())
}

fn unlock(protected: &Protected, passphrase: &str, path: &Path) -> Result<KeyPair, Failure> {
    protected.open(passphrase).map_err(|error| match error {
        OpenError::Damaged(what) => KeyFileError::Damaged { path: path.to_owned(), what }.into(),
        OpenError::Passphrase => {
            let what = format!("that is not the passphrase of {}", path.display());
            Failure::new(Exit::Identity, what).hint(
                "try again; if it is forgotten, bring the identity back from its words: profile-client \
                 identity restore --identity FILE",
            )
        }
    })
}

/// Keeps an identity in a new file, with a passphrase if it has one.
pub(super) fn save(
    path: &Path,
    key_pair: &KeyPair,
    passphrase: Option<&Passphrase>,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let Some(passphrase) = passphrase else { return Ok(arguments.modes.file(path).save(key_pair)?) };
    let aside = aside(path);
    let text = Protected::seal(key_pair, passphrase, COST).render();
    let written = files::remove(&aside).and_then(|()| {
        let mut file = files::create_new(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        files::rename_new(&aside, path)
    });
    written.map_err(|error| cannot_write(path, error))
}

/// Encrypts the file with a passphrase.
fn protect(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let path = file(arguments)?;
    let key_pair = match arguments.modes.file(&path).load() {
        Err(KeyFileError::Protected(_)) => {
            let what = format!("{} is protected already", path.display());
            let hint = "change the passphrase with identity unprotect, then identity protect";
            return Err(Failure::new(Exit::Usage, what).hint(hint));
        }
        loaded => loaded?.ok_or_else(|| missing(&path))?,
    };
    let passphrase = secret::new(arguments)?;
    let text = Zeroizing::new(Protected::seal(&key_pair, &passphrase, COST).render());
    replace(&path, &text)?;
    output.note("every command asks for the passphrase from now on; without it the identity is lost");
    output.note("the disk, and backups of it, may still hold the file as it was before");
    print(&key_pair, &path, output);
    Ok(())
}

/// Removes the passphrase.
fn unprotect(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let path = file(arguments)?;
    let Opened { key_pair, passphrase } = open(&path, arguments)?.ok_or_else(|| missing(&path))?;
    if passphrase.is_none() {
        let what = format!("{} has no passphrase", path.display());
        return Err(Failure::new(Exit::Usage, what));
    }
    replace(&path, &render(&key_pair))?;
    output.note("anyone who can read the file acts as you from now on");
    print(&key_pair, &path, output);
    Ok(())
}

/// Replaces the content of an identity file.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    if path.is_symlink() {
        return Err(KeyFileError::Link(path.to_owned()).into());
    }
    let replaced = files::replace(path, &aside(path), |file| file.write_all(text.as_bytes()));
    replaced.map_err(|error| cannot_write(path, error))
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn cannot_write(path: &Path, source: io::Error) -> Failure {
    KeyFileError::Io { verb: "write", path: path.to_owned(), source }.into()
}

/// Returns the failure of a command that makes no identity.
pub(super) fn missing(path: &Path) -> Failure {
    let missing = Failure::from(KeyFileError::Missing(path.to_owned()));
    missing.hint("make an identity with: profile-client identity new")
}

/// Returns the name of the identity file.
pub(super) fn file(arguments: &Arguments) -> Result<PathBuf, Failure> {
    match &arguments.identity {
        Some(path) => Ok(path.clone()),
        None => Ok(default_folder("profile-client")?.join("identity")),
    }
}

/// Prints a public key and where it is kept.
pub(super) fn print(key_pair: &KeyPair, path: &Path, output: &Output) {
    print_key(key_pair.public_key(), path, output);
}

fn print_key(key: &PublicKey, path: &Path, output: &Output) {
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
    let Opened { key_pair, .. } = open(&path, arguments)?.ok_or_else(|| missing(&path))?;
    if !arguments.may_ask() || !io::stdout().is_terminal() {
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
    match present(&path, arguments)? {
        Some(known) if known == *key_pair.public_key() => output.note("this identity is here already"),
        Some(known) => return Err(taken(&known, &path)),
        None => {
            arguments.modes.file(&path).save(&key_pair)?;
            output.note("your identity is back");
        }
    }
    print(&key_pair, &path, output);
    Ok(())
}

/// Makes an identity where there is none.
fn make(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let path = file(arguments)?;
    if let Some(known) = present(&path, arguments)? {
        return Err(taken(&known, &path));
    }
    let key_pair = KeyPair::generate();
    arguments.modes.file(&path).save(&key_pair)?;
    output.note("write it down with: profile-client identity words");
    print(&key_pair, &path, output);
    Ok(())
}

/// Returns the key of the identity that is there, which needs no passphrase; `None` if there is none.
fn present(path: &Path, arguments: &Arguments) -> Result<Option<PublicKey>, Failure> {
    names::refuse_interrupted(path)?;
    match arguments.modes.file(path).load() {
        Err(KeyFileError::Protected(_)) => Ok(Some(*read_protected(path, arguments)?.public_key())),
        loaded => Ok(loaded?.map(|key_pair| *key_pair.public_key())),
    }
}

fn taken(known: &PublicKey, path: &Path) -> Failure {
    let what = format!("{} holds another identity: {known}", path.display());
    let hint = format!(
        "keep both: name another file with --identity, or move this one away with mv {0} {0}.old",
        quoted(path)
    );
    Failure::new(Exit::Identity, what).hint(hint)
}

/// Asks for the words, or reads them from a pipe or a file.
fn read_words(arguments: &Arguments) -> Result<Zeroizing<String>, Failure> {
    if arguments.may_ask() {
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
