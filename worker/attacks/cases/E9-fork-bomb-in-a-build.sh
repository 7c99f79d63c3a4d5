# Tries: a build that is a fork bomb: make without a bound of jobs, calling itself.
# Seen: CI runners; "make -j" in every support channel.
# Must: the pids limit ends it and the outcome says so.
# Case: row=E9 expect=limit:pids needs=make profile=build limits=pids:64
cd /work || exit 1
printf 'all: $(addprefix job, 1 2 3 4 5 6 7 8 9 10)\njob%%:\n\t+$(MAKE) -j all & $(MAKE) -j all & sleep 100\n' > Makefile
make -j
echo "ESCAPED: make ended"
exit 66
