//! Hostile image archives: each must be refused while it is read, and nothing of it may be kept.
//!
//! One file each; its first three lines say what it tries, where that was seen, and what must happen.

pub(crate) mod tar;

crate::attack::hostile_clients! {
    "B5-dev-as-a-link" b5_dev_as_a_link,
    "B5-proc-as-a-file" b5_proc_as_a_file,
    "B5-proc-as-a-link" b5_proc_as_a_link,
    "B5-sys-as-a-link" b5_sys_as_a_link,
    "B5-tmp-as-a-link" b5_tmp_as_a_link,
    "B5-work-as-a-link" b5_work_as_a_link,
    "C20-absolute-name" c20_absolute_name,
    "C20-block-device" c20_block_device,
    "C20-character-device" c20_character_device,
    "C20-cut-archive" c20_cut_archive,
    "C20-dotdot-in-the-middle" c20_dotdot_in_the_middle,
    "C20-dotdot-name" c20_dotdot_name,
    "C20-duplicate-names" c20_duplicate_names,
    "C20-fifo" c20_fifo,
    "C20-file-as-directory" c20_file_as_directory,
    "C20-garbage" c20_garbage,
    "C20-gzip-bomb" c20_gzip_bomb,
    "C20-hard-link-absolute" c20_hard_link_absolute,
    "C20-hard-link-outward" c20_hard_link_outward,
    "C20-hard-link-to-nothing" c20_hard_link_to_nothing,
    "C20-huge-size" c20_huge_size,
    "C20-odd-names" c20_odd_names,
    "C20-pax-override" c20_pax_override,
    "C20-through-a-link" c20_through_a_link,
    "C20-through-an-absolute-link" c20_through_an_absolute_link,
    "C20-through-two-links" c20_through_two_links,
    "C20-zstd-bomb" c20_zstd_bomb,
}
