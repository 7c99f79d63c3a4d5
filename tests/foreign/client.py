"""A client of Kiln that shares nothing with it but the .proto files. Prints one JSON object."""

import json
import sys

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kiln.v1 import job_pb2, jobs_pb2, jobs_pb2_grpc


def spec(source):
    compile_step = job_pb2.Step(
        name="compile",
        commands=[
            job_pb2.Command(
                argv=[b"gcc", b"-O1", b"-o", b"/work/program", b"/work/program.c"],
                env=[job_pb2.EnvVar(name=b"PATH", value=b"/usr/bin:/bin")],
                files_in=[job_pb2.FileIn(path=b"/work/program.c", content=job_pb2.Content(inline=source))],
                files_out=[job_pb2.FileOut(path=b"/work/program")],
                profile="build",
            )
        ],
    )
    program = job_pb2.Content(output_of=job_pb2.StepOutput(step="compile", file=b"/work/program"))
    run_step = job_pb2.Step(
        name="run",
        needs=["compile"],
        commands=[
            job_pb2.Command(
                argv=[b"/work/program"],
                stdin=job_pb2.Content(inline=b"1 2 3 4"),
                files_in=[job_pb2.FileIn(path=b"/work/program", content=program, executable=True)],
            )
        ],
    )
    return job_pb2.JobSpec(steps=[compile_step, run_step])


def result(job):
    last = job.steps[-1].commands[-1]
    return {
        "stdout": last.stdout.data.decode(),
        "code": last.outcome.code,
        "verdict": job_pb2.JobVerdict.Name(job.verdict),
    }


def refused(jobs):
    try:
        jobs.Submit(jobs_pb2.SubmitRequest(spec=job_pb2.JobSpec()))
    except grpc.RpcError as error:
        info = error_details_pb2.ErrorInfo()
        for detail in rpc_status.from_call(error).details:
            if detail.Is(info.DESCRIPTOR):
                detail.Unpack(info)
        return {"code": error.code().name, "reason": info.reason}
    return None


def main():
    address, source = sys.argv[1], sys.argv[2].encode()
    # On a unix socket, grpcio sends the socket's path as the authority, which is not one (RFC 3986) and which HTTP/2 servers refuse.
    options = [("grpc.default_authority", "localhost")] if address.startswith("unix:") else []
    with grpc.insecure_channel(address, options=options) as channel:
        jobs = jobs_pb2_grpc.JobsStub(channel)
        events = list(jobs.Run(jobs_pb2.RunRequest(spec=spec(source)), timeout=120))
        job_id = jobs.Submit(jobs_pb2.SubmitRequest(spec=spec(source)), timeout=120).job_id
        submitted = jobs.Wait(jobs_pb2.WaitRequest(job_id=job_id), timeout=120)
        print(json.dumps({"run": result(events[-1].done.job), "submit": result(submitted), "refused": refused(jobs)}))


main()
