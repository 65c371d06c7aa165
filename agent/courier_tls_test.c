/* A receiver with a certificate of its own, in the same loop. */

#include "agent/courier_post.h"
#include "base/str.h"
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A certificate that vouches for itself. */
struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

static struct event_base *base;
static char trusted[] = "/tmp/masu-courier-tls-XXXXXX";
static char received[64], result_why[160];
static enum post_result result;

static struct identity identity_make(const char *alternative_name)
{
    struct identity i = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
    X509_NAME *name = X509_get_subject_name(i.certificate);
    X509_EXTENSION *alternative = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative_name);
    assert_non_null(i.key);
    assert_non_null(alternative);
    X509_set_version(i.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(i.certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(i.certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(i.certificate), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)alternative_name, -1, -1, 0);
    X509_set_issuer_name(i.certificate, name);
    X509_set_pubkey(i.certificate, i.key);
    X509_add_ext(i.certificate, alternative, -1);
    X509_EXTENSION_free(alternative);
    assert_true(X509_sign(i.certificate, i.key, EVP_sha256()) > 0);
    return i;
}

static void identity_fini(struct identity *i)
{
    X509_free(i->certificate);
    EVP_PKEY_free(i->key);
}

static void trust(const struct identity *i)
{
    FILE *file = fopen(trusted, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, i->certificate), 1);
    fclose(file);
}

static struct bufferevent *on_connection(struct event_base *of, void *context)
{
    SSL *ssl = SSL_new(context);
    return bufferevent_openssl_socket_new(of, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

static void on_request(struct evhttp_request *request, void *arg UNUSED)
{
    evbuffer_copyout(evhttp_request_get_input_buffer(request), received, sizeof received - 1);
    evhttp_send_reply(request, 200, "OK", NULL);
}

static void on_result(void *owner UNUSED, enum post_result outcome, const char *why)
{
    result = outcome;
    str_copy(result_why, sizeof result_why, why);
    event_base_loopbreak(base);
}

static void post_and_wait(struct evhttp_bound_socket *socket)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    struct post *post = NULL;
    char url[64];
    evutil_socket_t fd = evhttp_bound_socket_get_fd(socket);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    str_format(url, sizeof url, "https://127.0.0.1:%u/hook", ntohs(address.sin_port));
    assert_int_equal(post_new(base, url, on_result, NULL, &post), 0);
    assert_int_equal(post_send(post, "{\"x\":1}", 7), 0);
    event_base_dispatch(base);
    post_free(post);
}

/* POSTs to a receiver that shows @shown. */
static void post_to(const struct identity *shown)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(context, shown->certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, shown->key), 1);
    base = event_base_new();
    struct evhttp *receiver = evhttp_new(base);
    evhttp_set_bevcb(receiver, on_connection, context);
    evhttp_set_gencb(receiver, on_request, NULL);
    received[0] = result_why[0] = '\0';
    post_and_wait(evhttp_bind_socket_with_handle(receiver, "127.0.0.1", 0));
    evhttp_free(receiver);
    event_base_free(base);
    SSL_CTX_free(context);
}

static void a_certificate_that_is_trusted_and_fits_is_posted_to(void **state UNUSED)
{
    struct identity host = identity_make("IP:127.0.0.1");
    trust(&host);
    post_to(&host);
    assert_int_equal(result, POST_DELIVERED);
    assert_string_equal(received, "{\"x\":1}");
    identity_fini(&host);
}

static void a_certificate_that_nobody_vouches_for_is_refused_and_said(void **state UNUSED)
{
    struct identity host = identity_make("IP:127.0.0.1"), other = identity_make("IP:127.0.0.2");
    trust(&other);
    post_to(&host);
    assert_int_equal(result, POST_FAILED);
    assert_string_equal(received, "");
    assert_string_equal(result_why, "its certificate is refused: self-signed certificate");
    identity_fini(&host);
    identity_fini(&other);
}

static void a_certificate_of_another_host_is_refused_and_said(void **state UNUSED)
{
    struct identity other = identity_make("IP:127.0.0.2");
    trust(&other);
    post_to(&other);
    assert_int_equal(result, POST_FAILED);
    assert_string_equal(received, "");
    assert_string_equal(result_why, "its certificate is refused: IP address mismatch");
    identity_fini(&other);
}

/* As an operator says whom to trust. */
static int setup(void **state UNUSED)
{
    int fd = mkstemp(trusted);
    return fd < 0 || close(fd) < 0 || setenv("SSL_CERT_FILE", trusted, 1) < 0 ||
           setenv("SSL_CERT_DIR", "/nonexistent", 1) < 0;
}

static int teardown(void **state UNUSED)
{
    return unlink(trusted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_that_is_trusted_and_fits_is_posted_to),
        cmocka_unit_test(a_certificate_that_nobody_vouches_for_is_refused_and_said),
        cmocka_unit_test(a_certificate_of_another_host_is_refused_and_said),
    };
    return cmocka_run_group_tests_name("courier_tls", tests, setup, teardown);
}
