# Tries: hands back a file larger than what may be returned, mostly a hole, and one that claims to be empty but is not.
# Seen: go-judge's copy-out limits; collectors that read to memory.
# Must: what comes back is bounded, and told.
# Case: row=C13 expect=held limits=disk:32M,memory:64M,file_size:32M takes=/work/hole:any,/work/small:found
import os

with open("/work/hole", "wb") as file:
    file.truncate(31 << 20)
    file.seek(30 << 20)
    file.write(b"end")
with open("/work/small", "wb") as file:
    os.posix_fallocate(file.fileno(), 0, 4096)
    file.truncate(0)
    file.write(b"small")
print("HELD" if os.stat("/work/hole").st_size == 31 << 20 else "not tried")
