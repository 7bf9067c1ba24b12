//! Makes and changes profiles by arguments.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::super::exit::{Exit, Failure};
use super::args::ProfileArgs;
use crate::profile::content::MAX_PROFILE_BYTES;
use crate::profile::{ClientError, InvalidProfile, Profile, ProfileDraft};

/// A change of a profile, which may be applied repeatedly.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// Replaces the whole profile.
    Replace(Profile),
    /// These parts change.
    Parts { parts: ProfileArgs, unset: Vec<String> },
}

impl Edit {
    /// Reads the arguments of `update`.
    pub(super) fn from_args(parts: ProfileArgs, unset: Vec<String>) -> Result<Self, Failure> {
        match &parts.from_file {
            Some(path) => Ok(Self::Replace(from_file(path)?)),
            None => Ok(Self::Parts { parts, unset }),
        }
    }

    /// Applies the change.
    pub(super) fn apply(&self, profile: &Profile) -> Result<Profile, InvalidProfile> {
        match self {
            Self::Replace(profile) => Ok(profile.clone()),
            Self::Parts { parts, unset } => {
                let mut draft = profile.clone().into_draft();
                for field in unset {
                    match field.as_str() {
                        "bio" => draft.bio.clear(),
                        "links" | "link" => draft.links.clear(),
                        field => {
                            draft.fields.remove(field);
                        }
                    }
                }
                fill(&mut draft, parts);
                draft.check()
            }
        }
    }

    /// Whether the arguments named nothing to change.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Replace(_) => false,
            Self::Parts { parts, unset } => parts.is_empty() && unset.is_empty(),
        }
    }
}

/// Makes a first profile from the arguments of `register`; `None` if they name none.
pub(super) fn first_profile(parts: &ProfileArgs) -> Result<Option<Profile>, Failure> {
    if let Some(path) = &parts.from_file {
        return from_file(path).map(Some);
    }
    if parts.name.is_none() {
        return Ok(None);
    }
    let mut draft = ProfileDraft::default();
    fill(&mut draft, parts);
    draft.check().map(Some).map_err(|error| ClientError::InvalidProfile(error).into())
}

fn fill(draft: &mut ProfileDraft, parts: &ProfileArgs) {
    if let Some(name) = &parts.name {
        draft.name.clone_from(name);
    }
    if let Some(bio) = &parts.bio {
        draft.bio.clone_from(bio);
    }
    if !parts.links.is_empty() {
        draft.links.clone_from(&parts.links);
    }
    draft.fields.extend(parts.fields.iter().cloned());
}

fn from_file(path: &Path) -> Result<Profile, Failure> {
    let mut text = String::new();
    // One byte more than allowed, so that too much is seen as such.
    let most = MAX_PROFILE_BYTES as u64 + 1;
    let read = if path == Path::new("-") {
        io::stdin().take(most).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.map_err(|error| {
        let what = format!("cannot read the profile from {}", path.display());
        Failure::from_error(Exit::Usage, anyhow::Error::from(error).context(what))
    })?;
    Profile::parse(text.trim()).map_err(|error| ClientError::InvalidProfile(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Profile {
        let text = r#"{"name":"Ada","bio":"b","links":["http://a"],"fields":{"town":"London","x":"y"}}"#;
        Profile::parse(text).unwrap()
    }

    fn edited(parts: ProfileArgs, unset: &[&str]) -> String {
        let unset = unset.iter().map(ToString::to_string).collect();
        let edit = Edit::from_args(parts, unset).unwrap();
        edit.apply(&stored()).unwrap().text().to_owned()
    }

    #[test]
    fn what_is_not_named_stays() {
        let parts = ProfileArgs {
            bio: Some("c".into()),
            fields: vec![("town".into(), "Paris".into())],
            ..ProfileArgs::default()
        };
        assert_eq!(
            edited(parts, &[]),
            r#"{"name":"Ada","bio":"c","links":["http://a"],"fields":{"town":"Paris","x":"y"}}"#
        );
        assert_eq!(
            edited(ProfileArgs::default(), &["bio", "links", "town", "absent"]),
            r#"{"name":"Ada","fields":{"x":"y"}}"#
        );
    }

    #[test]
    fn a_file_replaces_everything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.json");
        std::fs::write(&path, "{\"name\": \"Bob\"}\n").unwrap();
        let parts = ProfileArgs { from_file: Some(path.clone()), ..ProfileArgs::default() };
        assert_eq!(edited(parts.clone(), &[]), r#"{"name": "Bob"}"#);
        std::fs::write(&path, " ".repeat(9000)).unwrap();
        assert_eq!(first_profile(&parts).unwrap_err().exit, Exit::Invalid);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(first_profile(&parts).unwrap_err().exit, Exit::Usage);
    }
}
