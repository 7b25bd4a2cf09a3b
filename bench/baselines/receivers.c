/* Many sockets that read and throw away, cheap enough not to be what is measured: what arrives is cut off in the kernel
 * (MSG_TRUNC), not even copied.
 *
 * usage: receivers PORT COUNT [REQUEST_FILE [HELLO_FILE]]
 * Each receiver connects, sends the request and reads until the head of the answer has ended, then sends the hello and
 * reads one answer. Prints "connected" when all are there. From then on everything is thrown away.
 * A line "begin" on stdin: from here on it polls without ever sleeping, so that no sender pays for waking it up (a slower
 * sender would have to more often, and a network card asks nobody for that). A line "end": when nothing has come for
 * 20 ms it prints the bytes since "begin" and the CPU microseconds that taking them took, and sleeps until the next.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 65536
#define EVENTS 1024

struct text { char bytes[4096]; int size; };

static void fail(const char *what) { perror(what); exit(1); }

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static void pause_us(double us) {
  for (double until = now_us() + us; now_us() < until;) {}
}

static struct text read_file(const char *path) {
  struct text found = {.size = 0};
  FILE *file = fopen(path, "rb");
  if (!file) fail(path);
  found.size = fread(found.bytes, 1, sizeof found.bytes, file);
  fclose(file);
  return found;
}

static void say(int fd, const struct text *what) {
  if (send(fd, what->bytes, what->size, MSG_NOSIGNAL) != what->size) fail("send");
}

static int open_one(int port, const struct text *request, const struct text *hello) {
  static char buffer[MOST + 1];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
  if (request->size) {
    int received = 0;
    say(fd, request);
    do {
      int more = recv(fd, buffer + received, MOST - received, 0);
      if (more <= 0) fail("handshake");
      received += more;
      buffer[received] = 0;
    } while (!strstr(buffer, "\r\n\r\n"));
    if (!strstr(buffer, " 101 ")) { fprintf(stderr, "%s\n", buffer); exit(1); }
  }
  if (hello->size) {
    say(fd, hello);
    if (recv(fd, buffer, MOST, 0) <= 0) fail("hello");
  }
  if (fcntl(fd, F_SETFL, O_NONBLOCK)) fail("fcntl");
  return fd;
}

int main(int argc, char **argv) {
  static char nothing[MOST];
  struct epoll_event events[EVENTS], event = {.events = EPOLLIN};
  struct text request = {.size = 0}, hello = {.size = 0};
  if (argc < 3) return 2;
  int port = atoi(argv[1]), count = atoi(argv[2]);
  if (argc > 3) request = read_file(argv[3]);
  if (argc > 4) hello = read_file(argv[4]);
  int poll = epoll_create1(0);
  for (int i = 0; i < count; i++) {
    event.data.fd = open_one(port, &request, &hello);
    if (epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event)) fail("epoll_ctl");
  }
  event.data.fd = STDIN_FILENO;
  if (epoll_ctl(poll, EPOLL_CTL_ADD, STDIN_FILENO, &event)) fail("epoll_ctl");
  printf("connected\n");
  fflush(stdout);
  double bytes = 0, busy = 0, quiet_since = 0;
  int spinning = 0, ending = 0;
  for (;;) {
    double before = now_us();
    int ready = epoll_wait(poll, events, EVENTS, spinning ? 0 : -1);
    if (ready == 0 && ending && before - quiet_since > 20000) {
      printf("%.0f %.0f\n", bytes, busy);
      fflush(stdout);
      spinning = ending = 0;
    }
    if (ready == 0) pause_us(5);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      ssize_t size;
      if (fd == STDIN_FILENO) {
        if ((size = read(fd, nothing, sizeof nothing)) <= 0) return 0;
        if (nothing[0] == 'b') bytes = busy = 0, spinning = 1;
        else ending = 1;
      } else if ((size = recv(fd, nothing, sizeof nothing, MSG_TRUNC)) > 0) {
        bytes += size;
      } else if (size == 0 || errno != EAGAIN) {
        fprintf(stderr, "a receiver lost its connection\n");
        return 1;
      }
    }
    if (ready > 0) quiet_since = now_us(), busy += quiet_since - before;
  }
}
