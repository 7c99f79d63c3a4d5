# Tries: reaches a service of the host with what an image offers: the shell, perl, python, curl; by name, by address, by IPv6.
# Seen: Judge0 CVE-2024-29021: jobs spoke to the service's own database.
# Must: no connection, no name, no answer.
# Case: row=A3 expect=held args={canary_port} limits=wall:10s,cpu:5s
port=$1
reached() { echo "ESCAPED: by $1"; exit 66; }
for host in 127.0.0.1 localhost ::1 0.0.0.0 169.254.169.254 127.1; do
    (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null && reached "/dev/tcp/$host"
    (exec 3<>"/dev/udp/$host/$port" && echo hello >&3) 2>/dev/null && reached "/dev/udp/$host"
done
perl -MIO::Socket::INET -e "exit(IO::Socket::INET->new(PeerAddr => '127.0.0.1:$port', Timeout => 1) ? 0 : 1)" 2>/dev/null && reached perl
python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" 2>/dev/null && reached python
python3 -c "import socket; socket.getaddrinfo('example.org', 80)" 2>/dev/null && reached "a name server"
curl -s -m 1 "http://127.0.0.1:$port/" >/dev/null 2>&1 && reached curl
echo HELD
