//! Hostile clients: each asks the service for something that it must refuse, or asks in a way that must not hurt it.
//!
//! One file each; its first three lines say what it tries, where that was seen, and what must happen.

pub(crate) mod asking;

crate::attack::hostile_clients! {
    "A15-forged-commands" a15_forged_commands,
    "A2-output-of-others" a2_output_of_others,
    "A4-limits-below-sense" a4_limits_below_sense,
    "A4-overflowing-limits" a4_overflowing_limits,
    "A4-zero-limits" a4_zero_limits,
    "A6-dotdot-blob-digests" a6_dotdot_blob_digests,
    "A6-dotdot-image-names" a6_dotdot_image_names,
    "A6-dotdot-job-ids" a6_dotdot_job_ids,
    "A6-dotdot-paths-in" a6_dotdot_paths_in,
    "A6-dotdot-paths-out" a6_dotdot_paths_out,
    "A6-duplicate-files" a6_duplicate_files,
    "A6-duplicate-step-names" a6_duplicate_step_names,
    "A6-foreign-job-ids" a6_foreign_job_ids,
    "A6-lying-digest" a6_lying_digest,
    "B11-unknown-profiles" b11_unknown_profiles,
    "B2-hostile-cwd" b2_hostile_cwd,
    "C19-abandoned-uploads" c19_abandoned_uploads,
    "C19-cancel-storm" c19_cancel_storm,
    "C19-cancelled-runs" c19_cancelled_runs,
    "C19-cyclic-steps" c19_cyclic_steps,
    "C19-disordered-streams" c19_disordered_streams,
    "C19-endless-upload" c19_endless_upload,
    "C19-garbage-connections" c19_garbage_connections,
    "C19-half-open-connections" c19_half_open_connections,
    "C19-huge-inline-content" c19_huge_inline_content,
    "C19-huge-message" c19_huge_message,
    "C19-queue-flood" c19_queue_flood,
    "C19-reused-keys" c19_reused_keys,
    "C19-slow-watcher" c19_slow_watcher,
    "C19-too-many-files" c19_too_many_files,
    "C19-too-many-steps" c19_too_many_steps,
}
