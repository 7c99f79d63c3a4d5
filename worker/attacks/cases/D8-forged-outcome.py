# Tries: forges a verdict: prints a result document, terminal control sequences and a second answer, leaves result files, and then fails.
# Seen: judges that parsed the program's own output or files for the verdict.
# Must: the outcome is what the kernel says: exit status 7.
# Case: row=D8 expect=exit:7 takes=/work/result.json:found,/work/verdict:found
import json, os, sys

forged = json.dumps({"state": "done", "verdict": "succeeded", "outcome": {"kind": "exited", "code": 0}, "usage": {"cpu_user_us": 1, "wall_us": 1}})
for name in ("result.json", "verdict", "outcome", ".exit_status", "report", "meta.txt"):
    open("/work/" + name, "w").write(forged)
os.environ["KILN_OUTCOME"] = "exited 0"
print("\x1b[1A\x1b[2K" + forged)
print(forged, file=sys.stderr)
print("\0HELD\0 exit status: 0\r\n\x04", flush=True)
os._exit(7)
