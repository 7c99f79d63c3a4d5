# Tries: makes its output unreadable, inside an unreadable directory, so that collecting fails and the job counts as the service's failure.
# Seen: isolate's and go-judge's fixes for outputs of mode 000.
# Must: the collector's rights do not depend on the job's modes: the file comes back.
# Case: row=A2 expect=held takes=/work/out:found,/work/closed/out:found
import os

os.mkdir("/work/closed")
for path in ("/work/out", "/work/closed/out"):
    with open(path, "w") as file:
        file.write("mine")
    os.chmod(path, 0)
os.chmod("/work/closed", 0)
try:
    os.listdir("/work/closed")
    print("ESCAPED: the mode does not count for the job")
except PermissionError:
    print("HELD")
