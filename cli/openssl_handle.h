// OpenSSL's objects with owners.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace beamline::cli {

template <auto kFree>
struct OpensslFree {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
template <class T, auto kFree>
using OpensslHandle = std::unique_ptr<T, OpensslFree<kFree>>;

using BioHandle = OpensslHandle<BIO, BIO_free_all>;
using X509Handle = OpensslHandle<X509, X509_free>;
using KeyHandle = OpensslHandle<EVP_PKEY, EVP_PKEY_free>;

// Reads from `text`, which outlives it.
inline BioHandle BioOf(const std::string& text) {
  return BioHandle(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

}  // namespace beamline::cli
