# Tries: finds what is hidden from it: expected answers, checkers, other jobs' inputs, the canary, anywhere in the tree and by content.
# Seen: judges that mounted the test data into the sandbox, or left it readable in the parent directory.
# Must: its places hold what it was given, and the rest is the image.
# Case: row=D6 expect=held args={canary_file} limits=cpu:5s,wall:10s
import os, sys

folder, secret = os.path.basename(os.path.dirname(sys.argv[1])), os.path.basename(sys.argv[1])
own = os.path.abspath(sys.argv[0])
given = {"/work": {os.path.basename(own)}, "/tmp": set(), "/dev/shm": set()}
for place, names in given.items():
    if os.path.isdir(place) and set(os.listdir(place)) - names:
        print("ESCAPED:", place, os.listdir(place))
        sys.exit(66)
for root, folders, files in os.walk("/"):
    if root.startswith(("/proc", "/usr/share", "/usr/include", "/opt")) or root.startswith("/usr") and root.count("/") > 3:
        folders.clear()
        continue
    for name in folders + files:
        if name in (folder, "blobs", "kiln.sock", "kiln.db", "answer", "expected") or name == secret and not root.startswith("/usr"):
            print("ESCAPED:", os.path.join(root, name))
            sys.exit(66)
    for name in files:
        path = os.path.join(root, name)
        if root.startswith("/usr") or os.path.islink(path) or not os.path.isfile(path) or path == own:
            continue
        try:
            if b"canary-" in open(path, "rb").read(1 << 20):
                print("ESCAPED: the secret is in", path)
                sys.exit(66)
        except OSError:
            pass
print("HELD")
