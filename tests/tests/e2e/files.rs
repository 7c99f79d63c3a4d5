//! Files in and files out, after any outcome, whatever a program puts in their place.

use kiln_proto::v1::{CommandResult, FileState, JobVerdict, LimitName};
use kiln_tests::api::{Api, digest};
use kiln_tests::service::{Options, Up};
use kiln_tests::spec::{MIB, inline, python, sh};
use kiln_tests::verdict::{Ended, assert_ended, assert_verdict, assert_wrote};

fn states(result: &CommandResult) -> Vec<FileState> {
    result.files.iter().map(|file| file.state()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_back_with_content_size_and_mode() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let script = "mkdir -p deep/er; printf small > deep/er/file; head -c 200000 /dev/zero > big; printf '#!' > tool; chmod +x tool";
    let spec = sh(script).wants("/work/deep/er/file").wants("/work/big").wants("/work/tool").job();
    let result = api.run_one(spec).await;
    assert_ended(&result, Ended::Exited(0));
    assert_eq!(states(&result), [FileState::Found; 3], "{result:#?}");
    assert_eq!(&result.files[0].data[..], b"small");
    assert!(!result.files[0].executable && result.files[2].executable);
    assert_eq!(result.files[1].size_bytes, 200_000);
    assert_eq!(result.files[1].blob, digest(&vec![0; 200_000]));
    let content = api.get_blob(&result.files[1].blob, 0).await.expect("stored");
    assert_eq!(content, vec![0; 200_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_stand_where_they_were_put() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let command = sh("cat a/b/data /tmp/other; ./a/run; stat -c %a a/b/data a/run; echo more >> a/b/data && tail -1 a/b/data")
        .file("/work/a/b/data", inline("data\n"))
        .file("/tmp/other", inline("other\n"))
        .program("/work/a/run", inline("#!/bin/sh\necho ran\n"));
    assert_wrote(&api.run_one(command.job()).await, "data\nother\nran\n644\n755\nmore\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_fails_the_step_unless_it_is_optional() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let told = api.run(sh("true").wants("/work/absent").job()).await;
    assert_verdict(&told.job, JobVerdict::Failed);
    assert_eq!(states(&told.job.steps[0].commands[0]), [FileState::Missing]);
    let told = api.run(sh("true").takes("/work/absent").job()).await;
    assert_verdict(&told.job, JobVerdict::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_back_after_a_crash_and_after_a_limit() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let crashed = api.run_one(sh("echo partial > out; kill -9 $$").wants("/work/out").job()).await;
    assert_ended(&crashed, Ended::Signalled(9));
    assert_eq!((states(&crashed)[0], &crashed.files[0].data[..]), (FileState::Found, &b"partial\n"[..]));
    let spin = sh("echo partial > out; while :; do :; done").limits(|limits| limits.cpu_ms = Some(300));
    let stopped = api.run_one(spin.wants("/work/out").job()).await;
    assert_ended(&stopped, Ended::Limit(LimitName::Cpu));
    assert_eq!((states(&stopped)[0], &stopped.files[0].data[..]), (FileState::Found, &b"partial\n"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_regular_files_come_back() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let program = "import os, socket
os.symlink('/etc/passwd', 'link'); os.mkfifo('fifo'); os.mkdir('directory')
socket.socket(socket.AF_UNIX).bind('socket')
os.mkdir('real'); open('real/file','w').write('x'); os.symlink('real', 'through')
os.symlink('nowhere', 'dangling'); os.symlink('loop', 'loop')
open('fine','w').write('fine'); os.link('fine', 'hard')";
    let mut command = python(program);
    let names = ["link", "fifo", "directory", "socket", "through/file", "dangling", "loop", "fine", "hard"];
    for name in names {
        command = command.takes(&format!("/work/{name}"));
    }
    let result = api.run_one(command.job()).await;
    let found = states(&result);
    assert_eq!(found[..7], [FileState::NotRegular; 7], "{result:#?}");
    assert_eq!(found[7..], [FileState::Found; 2], "{result:#?}");
    assert!(
        result.files.iter().all(|file| !file.data.starts_with(b"root:")),
        "no file of the host or image came out"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_over_its_maximum_is_told_but_not_returned() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let mut command =
        sh("head -c 1000 /dev/zero > exact; head -c 1001 /dev/zero > over; truncate -s 200M sparse")
            .takes("/work/exact")
            .takes("/work/over")
            .takes("/work/sparse")
            .limits(|limits| limits.file_size_bytes = Some(256 * MIB));
    for file in &mut command.0.files_out {
        file.max_bytes = Some(1000);
    }
    let result = api.run_one(command.job()).await;
    assert_eq!(states(&result)[..2], [FileState::Found, FileState::TooLarge], "{result:#?}");
    assert_eq!(result.files[1].size_bytes, 1001);
    assert!(result.files[1].data.is_empty() && result.files[1].blob.is_empty());
    assert_eq!(
        (states(&result)[2], result.files[2].size_bytes),
        (FileState::TooLarge, 200 * MIB),
        "a sparse file"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_bytes() {
    let up = Up::start(&Options::default());
    let api = Api::connect(&up.address()).await;
    let name = [b"/work/".as_slice(), b"new\nline \xff\xfe", &[b'n'; 200]].concat();
    let mut command =
        python("import os,sys; p=os.fsencode(sys.argv[1]); open(p+b'2','wb').write(open(p,'rb').read())");
    command.0.argv.push(bytes::Bytes::from(name.clone()));
    let mut command = command.file("/work/x", inline("odd")).wants("/work/x");
    command.0.files_in[0].path = bytes::Bytes::from(name.clone());
    command.0.files_out[0].path = bytes::Bytes::from([name.as_slice(), b"2"].concat());
    let result = api.run_one(command.job()).await;
    assert_ended(&result, Ended::Exited(0));
    assert_eq!((states(&result)[0], &result.files[0].data[..]), (FileState::Found, &b"odd"[..]));
}
