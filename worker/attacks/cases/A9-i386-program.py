# Tries: a 32-bit program, all of whose calls are of the foreign ABI: written byte for byte and executed.
# Seen: isolate NEWS 2.6; judges that allow a multilib compiler.
# Must: the kernel refuses the file, or the sandbox ends at the program's first call.
# Case: row=A9 expect=held|forbidden:i386:write layer=seccomp
import os, struct, subprocess

text = b"ESCAPED: a 32-bit program speaks\n"
base = 0x8048000
code = (b"\xb8\x04\0\0\0" b"\xbb\x01\0\0\0" b"\xb9" + struct.pack("<I", base + 0x54 + 34) + b"\xba" + struct.pack("<I", len(text)) + b"\xcd\x80"
        b"\xb8\x01\0\0\0" b"\xbb\x42\0\0\0" b"\xcd\x80")
size = 0x54 + len(code) + len(text)
header = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, base + 0x54, 0x34, 0, 0, 0x34, 0x20, 1, 0, 0, 0)
header += struct.pack("<IIIIIIII", 1, 0, base, base, size, size, 5, 0x1000)
with open("/work/small", "wb") as file:
    file.write(header + code + text)
os.chmod("/work/small", 0o755)
try:
    print("it ended with", subprocess.run(["/work/small"]).returncode)
except OSError as error:
    print("HELD:", error)
