# Tries: outputs that lie below a file, that are directories full of files, and that vanish into a directory of the same name.
# Seen: isolate 057c58c; collectors that call stat and open by path.
# Must: each is told for what it is; nothing recurses.
# Case: row=A10 expect=held takes=/work/file/below:missing,/work/full:not_regular,/work/full/1/2/3:not_regular,/work/full/1/2/3/ok:found
import os

open("/work/file", "w").close()
os.makedirs("/work/full/1/2/3")
for n in range(500):
    open("/work/full/%d.txt" % n, "w").close()
open("/work/full/1/2/3/ok", "w").write("ok")
try:
    open("/work/file/below", "w")
    print("ESCAPED: a file below a file")
except NotADirectoryError:
    print("HELD")
