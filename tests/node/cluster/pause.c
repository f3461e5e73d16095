/* Waits for ever and buries orphans: what the first process of a pod has to do, and of a node. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal) { _exit(0); }
static void bury(int signal) { while (waitpid(-1, 0, WNOHANG) > 0); }

int main(void) {
  struct sigaction ended = {.sa_handler = end}, orphaned = {.sa_handler = bury, .sa_flags = SA_NOCLDSTOP};
  sigaction(SIGINT, &ended, 0);
  sigaction(SIGTERM, &ended, 0);
  sigaction(SIGCHLD, &orphaned, 0);
  for (;;) pause();
}
