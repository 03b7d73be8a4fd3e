/* Preloaded into adbd, which would listen on all addresses: here it listens on 127.0.0.1 alone. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int bind(int descriptor, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 loopback;
        memcpy(&loopback, address, sizeof loopback);
        inet_pton(AF_INET6, "::ffff:127.0.0.1", &loopback.sin6_addr);
        return real(descriptor, (struct sockaddr *)&loopback, sizeof loopback);
    }
    if (address->sa_family == AF_VSOCK) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    return real(descriptor, address, length);
}
