/* The floor of fan-out: one process that calls send() once per receiver and message, and nothing else.
 *
 * usage: send_loop PORT RECEIVERS FRAME_BYTES
 * Waits until RECEIVERS sockets are connected and prints "ready"; then, for each line "MESSAGES PAUSE_MS" on stdin, sends
 * that many messages to everyone and prints the CPU microseconds that took: the process' own and the kernel's for it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double us(struct timeval time) { return time.tv_sec * 1e6 + time.tv_usec; }

static void send_all(int fd, const char *frame, int size) {
  while (send(fd, frame, size, MSG_NOSIGNAL) < 0) {
    if (errno != EAGAIN && errno != EINTR) { perror("send"); exit(1); }
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    poll(&wait, 1, 1000);
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int receivers = atoi(argv[2]), size = atoi(argv[3]), one = 1;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) { perror("listen"); return 1; }
  int *fds = calloc(receivers, sizeof *fds);
  char *frame = malloc(size), line[64];
  memset(frame, 'x', size);
  printf("listening\n");
  fflush(stdout);
  for (int i = 0; i < receivers; i++) {
    fds[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  printf("ready\n");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    int messages, pause_ms;
    struct rusage before, after;
    if (sscanf(line, "%d %d", &messages, &pause_ms) != 2) return 2;
    getrusage(RUSAGE_SELF, &before);
    for (int m = 0; m < messages; m++) {
      for (int i = 0; i < receivers; i++) send_all(fds[i], frame, size);
      struct timespec pause = {.tv_nsec = pause_ms * 1000000};
      nanosleep(&pause, NULL);
    }
    getrusage(RUSAGE_SELF, &after);
    printf("%.0f %.0f\n", us(after.ru_utime) - us(before.ru_utime), us(after.ru_stime) - us(before.ru_stime));
    fflush(stdout);
  }
  return 0;
}
