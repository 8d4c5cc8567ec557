//! A project on disk: read, and changed all at once or not at all.
//!
//! A new project is written beside its place and renamed into it. In an existing folder, the new contents are staged
//! below `.potter/`, then a journal says what goes where, and only then are files replaced: whoever finds a journal
//! finishes its work, whoever finds staged files without one throws them away. Killed at any point, the project is the
//! old one or, after the next command, the new one. If a file can't be written, or isn't any more what the change was
//! planned on, the project is the old one.

mod journal;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::lock::{Hash, LOCK_PATH, Lock, UnreadableLock};

/// Potter's own folder in a project.
pub(crate) const FOLDER: &str = ".potter";

/// A change to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Relative to the project, with forward slashes.
    pub path: String,
    /// The new bytes; `None` removes the file.
    pub contents: Option<Vec<u8>>,
    /// What has to be there, or else nothing is written.
    pub before: Before,
}

/// What has to be in a file for it to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// Whatever it is: the file is Potter's own.
    Anything,
    /// What was there when the change was planned; `None`: no file.
    AsPlanned(Option<Hash>),
}

impl Before {
    /// The bytes that the change was planned on.
    pub fn planned(bytes: Option<&[u8]>) -> Self {
        Self::AsPlanned(bytes.map(Hash::of))
    }

    fn allows(&self, there: Option<&Hash>) -> bool {
        match self {
            Self::Anything => true,
            Self::AsPlanned(planned) => planned.as_ref() == there,
        }
    }
}

/// Why a project could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The directory has files, and none of them is `potter.lock`.
    #[error("{0} is not empty and no Potter project; name a new directory")]
    NotAProject(PathBuf),
    /// Potter's folder is there, and `potter.lock` isn't.
    #[error(
        "{0} is a Potter project without its potter.lock; take that back from version control, as with `git checkout -- potter.lock`: it alone knows whose each file is and which events were recorded"
    )]
    WithoutLock(PathBuf),
    /// A file would be written outside the project or through a symbolic link.
    #[error("refused to write {0}: it leads out of the project or through a symbolic link")]
    LeadsOutside(String),
    /// A file would be written below another file.
    #[error("{path} can't be written: {obstacle} is a file, and has to be a folder; move it away")]
    InTheWay {
        /// What would be written.
        path: String,
        /// The file that is where a folder has to be.
        obstacle: String,
    },
    /// Somebody changed a file after it was decided what to do with it.
    #[error("{0} was changed while this was being prepared; nothing was written, so run it again")]
    Changed(String),
    /// Another command is writing the project.
    #[error("{0} is being written by another potter-gen")]
    Busy(PathBuf),
    /// An earlier command was interrupted, and its work waits to be finished.
    #[error("an interrupted command left {0} halfway; `potter-gen update` finishes its work")]
    Interrupted(PathBuf),
    /// `potter.lock` cannot be read.
    #[error(transparent)]
    Lock(#[from] UnreadableLock),
    /// The file system failed.
    #[error("{path}: {source}{}", remedy(source))]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
}

/// What a person can do about what the file system says.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; potter-gen reads and writes as you, so you have to be allowed to (`ls -ld` says who is)"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::StorageFull => "; nothing was written",
        _ => "",
    }
}

/// Where a project is, or is to be.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
    lock: Option<Lock>,
    lock_before: Before,
    has_crlf: bool,
}

impl Project {
    /// Looks at a directory: a Potter project, or the place for one. Finishes what an interrupted command began.
    ///
    /// # Errors
    /// The directory is neither, or it cannot be read.
    pub fn open(root: &Path) -> Result<Self, OutputError> {
        Self::recover(root)?;
        Self::found(root)
    }

    /// Finishes what an interrupted command began.
    ///
    /// # Errors
    /// The directory cannot be read or written.
    pub fn recover(root: &Path) -> Result<(), OutputError> {
        journal::recover(root)
    }

    /// As [`Project::open`], without writing anything.
    ///
    /// # Errors
    /// The directory is neither, it cannot be read, or an interrupted command left it halfway.
    pub fn look(root: &Path) -> Result<Self, OutputError> {
        if journal::is_there(root) {
            return Err(OutputError::Interrupted(root.to_owned()));
        }
        Self::found(root)
    }

    fn found(root: &Path) -> Result<Self, OutputError> {
        let bytes = read(&root.join(LOCK_PATH))?;
        let lock = match &bytes {
            Some(bytes) => Some(Lock::read(&String::from_utf8_lossy(bytes))?),
            None if is_free(root)? => None,
            None if root.join(FOLDER).is_dir() => return Err(OutputError::WithoutLock(root.to_owned())),
            None => return Err(OutputError::NotAProject(root.to_owned())),
        };
        let has_crlf = bytes.as_deref().is_some_and(|bytes| bytes.windows(2).any(|it| it == b"\r\n"));
        Ok(Self { root: root.to_owned(), lock, lock_before: Before::planned(bytes.as_deref()), has_crlf })
    }

    /// Whether the lock was checked out with CRLF; it is always written with LF at first.
    pub fn has_crlf(&self) -> bool {
        self.has_crlf
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its lock; `None` if there is no project yet.
    pub fn lock(&self) -> Option<&Lock> {
        self.lock.as_ref()
    }

    /// The bytes of one file, if it is there.
    ///
    /// # Errors
    /// The file system fails.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, OutputError> {
        read(&self.root.join(path))
    }

    /// The paths of all files in a folder of the project and below it; symbolic links are not followed.
    ///
    /// # Errors
    /// The file system fails.
    pub fn list(&self, folder: &str) -> Result<BTreeSet<String>, OutputError> {
        let mut found = BTreeSet::new();
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            for (name, kind) in entries(&self.root.join(&folder))? {
                let path = format!("{folder}/{name}");
                if kind.is_dir() {
                    open.push(path);
                } else {
                    found.insert(path);
                }
            }
        }
        Ok(found)
    }

    /// The change to another lock, with the line ends that it has; it is made if nobody else changed it meanwhile.
    pub fn lock_change(&self, lock: &Lock) -> Change {
        let text = if self.has_crlf { lock.print().replace('\n', "\r\n") } else { lock.print() };
        let contents = Some(text.into_bytes());
        Change { path: LOCK_PATH.to_owned(), contents, before: self.lock_before.clone() }
    }

    /// Makes all changes, or none. A file that has its bytes already isn't touched.
    ///
    /// # Errors
    /// A path leads outside, somebody else is writing or has changed a file, or the file system fails; the project is
    /// as it was.
    pub fn write(&self, changes: &[Change]) -> Result<(), OutputError> {
        self.refuse(changes)?;
        if self.root.exists() { journal::apply(&self.root, changes) } else { self.create(changes) }
    }

    /// Why the changes can't be made, as far as can be seen without making them.
    ///
    /// # Errors
    /// A path leads outside, or a file is where a folder has to be.
    pub fn refuse(&self, changes: &[Change]) -> Result<(), OutputError> {
        let removed = changes.iter().filter(|it| it.contents.is_none()).map(|it| it.path.as_str()).collect();
        for change in changes {
            refuse_detours(&self.root, &change.path)?;
            if change.contents.is_some() {
                refuse_obstacles(&self.root, &change.path, &removed)?;
            }
        }
        Ok(())
    }

    /// Writes a new project beside its place and moves it there.
    fn create(&self, changes: &[Change]) -> Result<(), OutputError> {
        let parent = match self.root.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(at(parent))?;
        let staged = tempfile::Builder::new().prefix(".potter-").tempdir_in(parent).map_err(at(parent))?;
        for change in changes {
            if let Some(contents) = &change.contents {
                put(&staged.path().join(&change.path), contents)?;
            }
        }
        open_up(staged.path())?;
        fs::rename(staged.path(), &self.root).map_err(at(&self.root))?;
        // It has moved: there is nothing left to clean up.
        let _ = staged.keep();
        Ok(())
    }
}

/// Refuses a path that leads out of the project, or through a symbolic link.
fn refuse_detours(root: &Path, path: &str) -> Result<(), OutputError> {
    let refused = || OutputError::LeadsOutside(path.to_owned());
    let mut place = root.to_owned();
    for component in Path::new(path).components() {
        let Component::Normal(name) = component else { return Err(refused()) };
        place.push(name);
        if place.is_symlink() {
            return Err(refused());
        }
    }
    Ok(())
}

/// Refuses a path that has a file above it, unless that is removed.
fn refuse_obstacles(root: &Path, path: &str, removed: &BTreeSet<&str>) -> Result<(), OutputError> {
    for (end, _) in path.match_indices('/') {
        let folder = &path[..end];
        if !removed.contains(folder) && root.join(folder).is_file() {
            return Err(OutputError::InTheWay { path: path.to_owned(), obstacle: folder.to_owned() });
        }
    }
    Ok(())
}

/// Whether a project may be made there: nothing is, or a directory that is empty but for what a killed `init` left.
fn is_free(root: &Path) -> Result<bool, OutputError> {
    match fs::read_dir(root) {
        Ok(mut entries) => Ok(entries.all(|it| it.is_ok_and(|it| it.file_name() == FOLDER))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(at(root)(error)),
    }
}

/// Names and kinds of what is in a directory; nothing if there is none.
fn entries(folder: &Path) -> Result<Vec<(String, fs::FileType)>, OutputError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(at(folder)(error)),
    };
    let named = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), entry.file_type()?))
    };
    entries.map(named).collect::<io::Result<_>>().map_err(at(folder))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, OutputError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// Writes a file and the directories above it.
fn put(path: &Path, contents: &[u8]) -> Result<(), OutputError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }
    fs::write(path, contents).map_err(at(path))
}

/// Temporary directories are closed to others; a project isn't.
fn open_up(path: &Path) -> Result<(), OutputError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(at(path))?;
    }
    Ok(())
}

/// Says which file an error is about.
fn at(path: &Path) -> impl FnOnce(io::Error) -> OutputError {
    move |source| OutputError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, contents: &str) -> Change {
        Change { path: path.into(), contents: Some(contents.into()), before: Before::Anything }
    }

    /// A project with `potter.lock` and `a/kept.rs`.
    fn project(place: &Path) -> Project {
        let root = place.join("shop");
        let lock = Lock::new("shop").print();
        Project::open(&root)
            .expect("a free place")
            .write(&[change(LOCK_PATH, &lock), change("a/kept.rs", "kept")])
            .expect("written");
        Project::open(&root).expect("a project")
    }

    #[test]
    fn a_new_project_is_there_as_a_whole() {
        let place = tempfile::tempdir().expect("a directory");
        let project = project(place.path());
        assert_eq!(project.read("a/kept.rs").expect("readable"), Some(b"kept".to_vec()));
        assert_eq!(fs::read_dir(place.path()).expect("readable").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_may_not_be_written_is_told_with_what_to_do() {
        let denied = at(Path::new("shop/.potter/busy"))(io::ErrorKind::PermissionDenied.into()).to_string();
        assert!(denied.starts_with("shop/.potter/busy: ") && denied.contains("`ls -ld`"), "{denied}");
        assert!(!denied.contains("written"), "it may have been read: {denied}");
    }

    #[test]
    fn a_project_without_its_lock_is_told_from_a_folder_of_other_things() {
        let place = tempfile::tempdir().expect("a directory");
        let project = project(place.path());
        project.write(&[change(".potter/base/a", "a")]).expect("written");
        fs::remove_file(project.root().join(LOCK_PATH)).expect("removed");
        assert!(matches!(Project::open(project.root()), Err(OutputError::WithoutLock(_))));
    }

    #[test]
    fn a_directory_with_other_things_is_refused() {
        let place = tempfile::tempdir().expect("a directory");
        fs::write(place.path().join("thesis.txt"), "mine").expect("written");
        assert!(matches!(Project::open(place.path()), Err(OutputError::NotAProject(_))));
    }

    #[test]
    fn changes_replace_add_and_remove() {
        let place = tempfile::tempdir().expect("a directory");
        let project = project(place.path());
        let removal = Change { path: "a/kept.rs".into(), contents: None, before: Before::Anything };
        project.write(&[change("b/new.rs", "new"), change(LOCK_PATH, "changed"), removal]).expect("written");
        assert_eq!(project.read("b/new.rs").expect("readable"), Some(b"new".to_vec()));
        assert_eq!(project.read(LOCK_PATH).expect("readable"), Some(b"changed".to_vec()));
        assert_eq!(project.read("a/kept.rs").expect("readable"), None);
    }

    #[test]
    fn an_identical_file_keeps_its_time() {
        let place = tempfile::tempdir().expect("a directory");
        let project = project(place.path());
        let path = project.root().join("a/kept.rs");
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        fs::File::options().write(true).open(&path).expect("open").set_modified(long_ago).expect("set");
        project.write(&[change("a/kept.rs", "kept"), change("b.rs", "b")]).expect("written");
        assert_eq!(fs::metadata(&path).expect("there").modified().expect("a time"), long_ago);
    }

    #[test]
    fn nothing_is_written_outside_or_through_links() {
        let place = tempfile::tempdir().expect("a directory");
        let project = project(place.path());
        #[cfg(unix)]
        std::os::unix::fs::symlink(place.path(), project.root().join("link")).expect("a link");
        for path in ["../out.rs", "/out.rs", "a/../../out.rs", "link/out.rs", "link"] {
            let refused = project.write(&[change("fine.rs", "fine"), change(path, "out")]);
            assert!(matches!(refused, Err(OutputError::LeadsOutside(_))), "{path}: {refused:?}");
            assert_eq!(project.read("fine.rs").expect("readable"), None, "{path}: half was written");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_project_is_made_in_an_empty_folder_that_is_there() {
        let place = tempfile::tempdir().expect("a directory");
        let (folder, link) = (place.path().join("folder"), place.path().join("link"));
        fs::create_dir(&folder).expect("a directory");
        std::os::unix::fs::symlink(&folder, &link).expect("a link");
        let id = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).expect("there"));
        let before = id(&folder);
        let lock = Lock::new("shop").print();
        let project = Project::open(&link).expect("a free place");
        project.write(&[change(LOCK_PATH, &lock), change("a/b.rs", "b")]).expect("written");
        assert_eq!(id(&folder), before, "whoever is in the folder is in another one now");
        assert!(Project::open(&folder).expect("a project").lock().is_some() && link.is_symlink());
    }

    #[test]
    fn an_init_that_was_killed_in_an_empty_folder_can_be_repeated() {
        let place = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(place.path().join(".potter/staged")).expect("a directory");
        fs::write(place.path().join(".potter/busy"), "").expect("written");
        assert!(Project::open(place.path()).expect("a free place").lock().is_none());
        assert!(!place.path().join(".potter/staged").exists());
    }

    #[test]
    fn a_file_where_a_folder_has_to_be_is_told_before_anything_is_written() {
        let place = tempfile::tempdir().expect("a directory");
        let project = project(place.path());
        let changes = [change("a/first.rs", "first"), change("a/kept.rs/b/c.rs", "c")];
        let error = project.write(&changes).expect_err("a/kept.rs is a file").to_string();
        assert!(error.starts_with("a/kept.rs/b/c.rs can't be written: a/kept.rs is a file"), "{error}");
        assert_eq!(project.read("a/first.rs").expect("readable"), None, "half was written");
        let removal = Change { path: "a/kept.rs".into(), contents: None, before: Before::Anything };
        project.write(&[removal, change("a/kept.rs/b/c.rs", "c")]).expect("the file makes room");
        assert_eq!(project.read("a/kept.rs/b/c.rs").expect("readable"), Some(b"c".to_vec()));
    }

    #[test]
    fn a_lock_that_somebody_changed_meanwhile_is_not_overwritten() {
        let place = tempfile::tempdir().expect("a directory");
        let project = project(place.path());
        let theirs = Lock::new("theirs").print();
        fs::write(project.root().join(LOCK_PATH), &theirs).expect("written");
        let refused = project.write(&[project.lock_change(&Lock::new("ours"))]);
        assert!(matches!(refused, Err(OutputError::Changed(_))), "{refused:?}");
        assert_eq!(project.read(LOCK_PATH).expect("readable"), Some(theirs.into_bytes()));
    }
}
