//! Names of users.

use std::collections::HashMap;

use nix::unistd::{Uid, User};

/// More users than this are not kept: the cache starts empty again.
const CAPACITY: usize = 1024;

/// Looks up names of users, each once. A look-up may ask the network (NSS): keep it off the path of events.
#[derive(Debug, Default)]
pub struct Users {
    names: HashMap<u32, Option<String>>,
}

impl Users {
    /// The name of a user id; `None` where it has none, or nobody could be asked.
    pub fn name(&mut self, uid: u32) -> Option<&str> {
        self.name_with(uid, |uid| {
            User::from_uid(Uid::from_raw(uid))
                .ok()
                .flatten()
                .map(|user| user.name)
        })
    }

    fn name_with(&mut self, uid: u32, find: impl FnOnce(u32) -> Option<String>) -> Option<&str> {
        if self.names.len() >= CAPACITY && !self.names.contains_key(&uid) {
            self.names.clear();
        }
        // A failure is kept as well: a directory that does not answer would be waited for each time.
        self.names
            .entry(uid)
            .or_insert_with(|| find(uid))
            .as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_a_name() {
        assert_eq!(Users::default().name(0), Some("root"));
    }

    #[test]
    fn each_user_is_asked_for_once() {
        let mut users = Users::default();
        assert_eq!(
            users.name_with(7, |uid| Some(format!("u{uid}"))),
            Some("u7")
        );
        assert_eq!(users.name_with(7, |_| panic!("asked again")), Some("u7"));
        assert_eq!(users.name_with(8, |_| None), None);
        assert_eq!(users.name_with(8, |_| panic!("asked again")), None);
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut users = Users::default();
        for uid in 0..5000 {
            users.name_with(uid, |_| None);
            assert!(users.names.len() <= CAPACITY);
        }
    }
}
