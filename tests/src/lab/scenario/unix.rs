//! Names of the unix family: who has them.

use std::{fs, path::Path, thread};

use anyhow::Result;

use super::Scenario;
use crate::lab::{
    Blame, Lab, Process, Sock,
    protocol::{
        Kind::{Unix, UnixDatagram},
        Target,
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("unix-path", left_behind),
    Scenario::new("unix-path-served", served),
    Scenario::new("unix-path-relative", relative),
    Scenario::new("unix-path-datagram", datagram),
    Scenario::new("unix-path-no-socket", no_socket),
    Scenario::new("unix-path-accepted", accepted),
    Scenario::new("unix-path-self", of_the_caller),
    Scenario::root("unix-path-other-root", other_root),
    Scenario::new("unix-abstract", abstract_name),
    Scenario::new("unix-abstract-accepted", abstract_accepted),
    Scenario::root("unix-abstract-netns", abstract_netns),
];

fn path(lab: &Lab) -> std::path::PathBuf {
    lab.directory().join("socket")
}

fn listener(holder: &Process<'_>, at: Target) -> Result<Sock> {
    let held = holder.socket(Unix)?;
    holder.bind(held, at)?.ok()?;
    holder.listen(held)?.ok()?;
    Ok(held)
}

fn left() -> Blame {
    Blame::cause("unix-path")
        .stage("protocol")
        .file("socket", &[])
        .remedy("remove")
        .would_succeed_if("had been removed")
}

fn of_server(holder: &Process<'_>) -> Blame {
    Blame::cause("unix-path")
        .stage("protocol")
        .file("socket", &[holder])
        .remedy("stop pw-holder")
        .would_succeed_if("had ended and")
}

/// A socket file outlives its server.
fn left_behind(lab: &Lab) -> Result<()> {
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let path = path(lab);
    let held = listener(&holder, Target::Path(path.clone()))?;
    holder.close(held)?;
    lab.checkpoint()?;
    let socket = binder.socket(Unix)?;
    let target = Target::Path(path.clone());
    binder.bind(socket, target.clone())?.in_use(&left())?;
    fs::remove_file(path)?;
    binder.bind(socket, target)?.ok()
}

/// Two processes have it open.
fn served(lab: &Lab) -> Result<()> {
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let path = path(lab);
    let held = listener(&holder, Target::Path(path.clone()))?;
    let worker = holder.fork()?;
    lab.checkpoint()?;
    let socket = binder.socket(Unix)?;
    let target = Target::Path(path.clone());
    let both = of_server(&holder).file("socket", &[&holder, &worker]);
    binder.bind(socket, target.clone())?.in_use(&both)?;
    worker.close(held)?;
    binder
        .bind(socket, target.clone())?
        .in_use(&of_server(&holder))?;
    holder.close(held)?;
    binder.bind(socket, target.clone())?.in_use(&left())?;
    // A file of that name is served by another one.
    fs::rename(&path, path.with_extension("old"))?;
    listener(&holder, target.clone())?;
    binder.bind(socket, target)?.in_use(&of_server(&holder))
}

/// A link that has been there for a tick of the file system's clock: whoever follows it first has its time of access
/// written, later than that of its making, and nobody has to write it again. What must be written is in no cache.
fn link(to: &Path, at: &Path) -> Result<()> {
    std::os::unix::fs::symlink(to, at)?;
    let made = fs::symlink_metadata(at)?.modified()?;
    let clock = at.with_extension("clock");
    loop {
        fs::write(&clock, "")?;
        if fs::metadata(&clock)?.modified()? > made {
            return Ok(());
        }
        thread::yield_now();
    }
}

/// The name begins at the caller's directory, and leads over a link.
fn relative(lab: &Lab) -> Result<()> {
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let (here, there) = (lab.directory().join("here"), lab.directory().join("there"));
    for directory in [&here, &there] {
        fs::create_dir(directory)?;
    }
    link(&there, &here.join("link"))?;
    holder.change_directory(&there)?;
    binder.change_directory(&here)?;
    let name = |name: &str| Target::Path(name.into());
    listener(&holder, name("socket"))?;
    let stale = binder.socket(Unix)?;
    binder.bind(stale, name("socket"))?.ok()?;
    binder.close(stale)?;
    lab.checkpoint()?;
    let socket = binder.socket(Unix)?;
    binder.bind(socket, name("socket"))?.in_use(&left())?;
    for served in ["link/socket", "../there/socket"] {
        binder
            .bind(socket, name(served))?
            .in_use(&of_server(&holder))?;
    }
    Ok(())
}

/// It never listens.
fn datagram(lab: &Lab) -> Result<()> {
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let path = path(lab);
    let held = holder.socket(UnixDatagram)?;
    holder.bind(held, Target::Path(path.clone()))?.ok()?;
    lab.checkpoint()?;
    let socket = binder.socket(UnixDatagram)?;
    let target = Target::Path(path);
    binder
        .bind(socket, target.clone())?
        .in_use(&of_server(&holder))?;
    // Whatever its type is: there is one file.
    let stream = binder.socket(Unix)?;
    binder.bind(stream, target)?.in_use(&of_server(&holder))
}

/// A file, a directory or a link that leads nowhere.
fn no_socket(lab: &Lab) -> Result<()> {
    let binder = lab.process("pw-binder")?;
    let place = |name: &str| lab.directory().join(name);
    fs::write(place("file"), "")?;
    fs::create_dir(place("directory"))?;
    std::os::unix::fs::symlink("nowhere", place("link"))?;
    lab.checkpoint()?;
    let socket = binder.socket(Unix)?;
    let blame = Blame::cause("unix-path")
        .stage("protocol")
        .file("other", &[])
        .remedy("another path")
        .no_remedy("remove");
    for name in ["file", "directory", "link"] {
        let target = Target::Path(place(name));
        binder.bind(socket, target)?.in_use(&blame)?;
    }
    fs::remove_file(place("file"))?;
    binder.bind(socket, Target::Path(place("file")))?.ok()
}

/// A connection shows the name of its listener, and does not have it.
fn accepted(lab: &Lab) -> Result<()> {
    let (holder, client) = (lab.process("pw-holder")?, lab.process("pw-client")?);
    let binder = lab.process("pw-binder")?;
    let path = path(lab);
    let held = listener(&holder, Target::Path(path.clone()))?;
    connect(&holder, &client, held, &path)?;
    lab.checkpoint()?;
    let socket = binder.socket(Unix)?;
    let target = Target::Path(path.clone());
    binder
        .bind(socket, target.clone())?
        .in_use(&of_server(&holder))?;
    let worker = holder.fork()?;
    worker.close(held)?;
    binder
        .bind(socket, target.clone())?
        .in_use(&of_server(&holder))?;
    holder.close(held)?;
    // Kernels before 6.0 do not tell the last connection from a client that has bound itself.
    let blame = if lab.tells_connections() {
        left()
    } else {
        Blame::cause("unix-path").stage("protocol").remedy("remove")
    };
    binder.bind(socket, target)?.in_use(&blame)
}

fn connect(holder: &Process<'_>, client: &Process<'_>, held: Sock, path: &Path) -> Result<()> {
    let outgoing = client.socket(Unix)?;
    client.connect_unix(outgoing, &Target::Path(path.into()))?;
    holder.accept(held)?;
    Ok(())
}

fn of_the_caller(lab: &Lab) -> Result<()> {
    let binder = lab.process("pw-binder")?;
    let path = path(lab);
    listener(&binder, Target::Path(path.clone()))?;
    lab.checkpoint()?;
    let socket = binder.socket(Unix)?;
    let blame = Blame::cause("unix-path")
        .stage("protocol")
        .also("self-conflict")
        .file("socket", &[&binder])
        .no_remedy("stop");
    binder.bind(socket, Target::Path(path))?.in_use(&blame)
}

/// One path is two files to processes of different roots.
fn other_root(lab: &Lab) -> Result<()> {
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let (root, inner) = (
        lab.directory().join("root"),
        lab.directory().join("outside"),
    );
    fs::create_dir_all(root.join("run"))?;
    fs::create_dir(&inner)?;
    // Absolute to those inside.
    link(Path::new("/run"), &root.join("link"))?;
    binder.change_root(&root)?;
    let target = |path: &str| Target::Path(path.into());
    let inside = binder.socket(Unix)?;
    listener(&holder, Target::Path(root.join("run/socket")))?;
    binder.bind(inside, target("/run/stale"))?.ok()?;
    binder.close(inside)?;
    lab.checkpoint()?;
    let socket = binder.socket(Unix)?;
    for served in ["/run/socket", "/link/socket", "run/socket"] {
        binder
            .bind(socket, target(served))?
            .in_use(&of_server(&holder))?;
    }
    binder.bind(socket, target("/run/stale"))?.in_use(&left())
}

fn name_of(holder: &Process<'_>) -> Target {
    Target::Abstract(format!("portwatch-tests-{}", holder.pid()))
}

fn of_abstract(holder: &Process<'_>) -> Blame {
    Blame::cause("unix-abstract")
        .stage("protocol")
        .named_by(&[holder])
        .remedy("stop pw-holder")
        .would_succeed_if("had closed")
}

fn abstract_name(lab: &Lab) -> Result<()> {
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let name = name_of(&holder);
    let held = holder.socket(Unix)?;
    holder.bind(held, name.clone())?.ok()?;
    lab.checkpoint()?;
    let socket = binder.socket(Unix)?;
    binder
        .bind(socket, name.clone())?
        .in_use(&of_abstract(&holder))?;
    // Another type is another name.
    let datagram = binder.socket(UnixDatagram)?;
    binder.bind(datagram, name.clone())?.ok()?;
    binder
        .bind(socket, name.clone())?
        .in_use(&of_abstract(&holder))?;
    holder.close(held)?;
    binder.bind(socket, name)?.ok()
}

/// The listener of a connection is gone, and another one has its name.
fn abstract_accepted(lab: &Lab) -> Result<()> {
    let (old, holder) = (lab.process("pw-old")?, lab.process("pw-holder")?);
    let (client, binder) = (lab.process("pw-client")?, lab.process("pw-binder")?);
    let name = name_of(&holder);
    let first = listener(&old, name.clone())?;
    let outgoing = client.socket(Unix)?;
    client.connect_unix(outgoing, &name)?;
    old.accept(first)?;
    old.close(first)?;
    listener(&holder, name.clone())?;
    lab.checkpoint()?;
    let socket = binder.socket(Unix)?;
    binder.bind(socket, name)?.in_use(&of_abstract(&holder))
}

/// The same name in another namespace is another one.
fn abstract_netns(lab: &Lab) -> Result<()> {
    let (holder, other) = (lab.process("pw-holder")?, lab.process("pw-other")?);
    let binder = lab.process("pw-binder")?;
    other.new_netns()?;
    let name = name_of(&holder);
    listener(&holder, name.clone())?;
    listener(&other, name.clone())?;
    lab.checkpoint()?;
    let socket = binder.socket(Unix)?;
    binder
        .bind(socket, name.clone())?
        .in_use(&of_abstract(&holder))?;
    binder.join_netns(&other)?;
    let there = binder.socket(Unix)?;
    let blame = Blame::cause("unix-abstract")
        .stage("protocol")
        .named_by(&[&other])
        .remedy("stop pw-other");
    binder.bind(there, name)?.in_use(&blame)
}
