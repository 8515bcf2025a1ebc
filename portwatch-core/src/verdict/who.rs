//! Whose socket it is: programs, services, proxies, keepers, and how a socket was inherited.

pub(crate) mod identity;
pub(in crate::verdict) mod inherited;
pub(in crate::verdict) mod keeper;
pub(in crate::verdict) mod program;
pub(crate) mod proxy;
pub(in crate::verdict) mod same_service;
