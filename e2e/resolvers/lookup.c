/* Prints the first IPv4 address of a name as the C library finds it, or why there is none. Built with musl for the tests. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

int main(int argc, char **argv) {
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
  char text[INET_ADDRSTRLEN];
  int error = getaddrinfo(argc > 1 ? argv[1] : "", 0, &hints, &found);
  if (error != 0) {
    puts(gai_strerror(error));
    return 2;
  }
  puts(inet_ntop(AF_INET, &((struct sockaddr_in *)found->ai_addr)->sin_addr, text, sizeof text));
  return 0;
}
