//! Way in to the parsers of control files for the fuzz targets of tests/fuzz.

use super::delegate::Controllers;
use super::mounts::{below, cgroup_mounts, unified_group};
use super::usage::GroupUsage;

pub(crate) fn kernel_text(text: &str) {
    let group = unified_group(text).unwrap_or(text);
    for mount in cgroup_mounts(text) {
        assert!(mount.point.len() <= text.len());
        if let Some(path) = below(&mount.root, group) {
            assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".."));
        }
    }
    let controllers = Controllers::parse(text);
    assert_eq!(controllers.has_required(), controllers.missing_required().is_empty());
    let mut usage = GroupUsage::default();
    usage.take_cpu_stat(text);
    assert_eq!(usage.cpu_total_us, usage.cpu_user_us + usage.cpu_system_us);
    usage.take_blkio(text);
    usage.take_io_stat(text);
}
