//! Limits on files: size stops; disk, inodes, open files and stack refuse, and the evidence says so.

use kiln_proto::v1::LimitName;
use kiln_tests::spec::{MIB, c_job, python, sh};
use kiln_tests::verdict::{Ended, assert_ended, assert_stopped_by, assert_wrote, evidence, stdout};

use crate::neighbour::{beside, service};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_exactly_the_size_is_fine_and_one_byte_more_is_stopped() {
    let (_up, api) = service().await;
    let write = |bytes: u64| {
        let program = format!("f = open('f','wb'); f.write(b'x' * {bytes}); f.close(); print('written')");
        // Python ignores SIGXFSZ, so it is a C-like program that is tested: restore the default first.
        let program = format!("import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n{program}");
        python(&program).limits(|l| l.file_size_bytes = Some(MIB)).job()
    };
    assert_wrote(&beside(&api, write(MIB)).await, "written\n");
    let over = beside(&api, write(MIB + 1)).await;
    assert_stopped_by(&over, LimitName::FileSize, MIB);
    assert_eq!(evidence(&over).exit_signal, Some(25), "SIGXFSZ: {over:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_with_enospc_in_every_writable_place_together() {
    let (_up, api) = service().await;
    let fill = |bytes: u64| {
        let program = format!(
            "import errno\ntry:\n  for place in ['/work', '/tmp', '/dev/shm']:\n    f = open(place + '/f','wb'); f.write(b'x' * {bytes}); f.close()\n  print('fits')\n\
             except OSError as error: print(errno.errorcode[error.errno])"
        );
        python(&program).limits(|l| {
            l.disk_bytes = Some(8 * MIB);
            l.memory_bytes = Some(64 * MIB);
        })
    };
    assert_wrote(&beside(&api, fill(2 * MIB).job()).await, "fits\n");
    let over = beside(&api, fill(3 * MIB).job()).await;
    assert_wrote(&over, "ENOSPC\n");
    assert_eq!(evidence(&over).disk_full, Some(true), "{over:#?}");
    assert!(evidence(&over).disk_used_bytes.is_some_and(|bytes| bytes > 7 * MIB), "{over:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inodes_run_out_with_enospc() {
    let (_up, api) = service().await;
    let make = |count: u64| {
        let program = format!(
            "import errno\ntry:\n  for n in range({count}): open('/tmp/%d' % n, 'w').close()\n  print('all')\n\
             except OSError as error: print(errno.errorcode[error.errno])"
        );
        python(&program).limits(|l| l.inodes = Some(500)).job()
    };
    assert_wrote(&beside(&api, make(400)).await, "all\n");
    let over = beside(&api, make(600)).await;
    assert_wrote(&over, "ENOSPC\n");
    assert_eq!(evidence(&over).inodes_full, Some(true), "{over:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn open_files_run_out_with_emfile() {
    let (_up, api) = service().await;
    let program = "import errno, os\nopened = []\ntry:\n  while True: opened.append(os.open('/dev/null', 0))\n\
        except OSError as error: print(errno.errorcode[error.errno], len(opened) + 3)";
    let result = beside(&api, python(program).limits(|l| l.open_files = Some(40)).job()).await;
    let said = stdout(&result);
    assert!(said == "EMFILE 40\n", "exactly the limit, the three standard streams included: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_stack_is_sigsegv_over_the_limit_and_fine_below() {
    let (_up, api) = service().await;
    let recurse = |kib: u64| {
        let source = format!(
            "#include <string.h>\n#include <stdio.h>\nint f(int n){{volatile char b[1024]; memset((char*)b,n,1024); return n ? f(n-1)+b[0] : 0;}}\n\
             int main(){{printf(\"%d\\n\", f({kib}) != 12345);}}"
        );
        c_job(&source, |run| run.limits(|l| l.stack_bytes = Some(4 * MIB)))
    };
    assert_wrote(&beside(&api, recurse(3_000)).await, "1\n");
    assert_ended(&beside(&api, recurse(6_000)).await, Ended::Signalled(11));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sparse_file_takes_no_disk_but_has_a_size() {
    let (_up, api) = service().await;
    let script = "truncate -s 1M sparse && du -k sparse | cut -f1; truncate -s 2G sparse; echo $?";
    let result = beside(&api, sh(script).limits(|l| l.file_size_bytes = Some(2 * MIB)).job()).await;
    let said = stdout(&result);
    assert!(said.starts_with("0\n"), "allocated nothing: {result:#?}");
    assert!(!said.ends_with("\n0\n"), "2 GiB exceed the file size: {result:#?}");
}
