// The two stores, as the contract suites begin with them.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <utility>

#include "daemon/store/memory_store.h"
#include "daemon/store/sqlite_store.h"
#include "tests/store/runs.h"

namespace beamline::store {

struct InMemory {
  MemoryStore store;
  MemoryStore* operator->() { return &store; }
};

struct OnDisk {
  TempDir directory;
  std::unique_ptr<SqliteStore> store;
  OnDisk() { Open(); }
  // Also again: what is on disk stays.
  void Open() {
    store.reset();
    auto opened = SqliteStore::Open(directory.path());
    REQUIRE_MESSAGE(opened.ok(), opened.status().message());
    store = *std::move(opened);
  }
  SqliteStore* operator->() { return store.get(); }
};

}  // namespace beamline::store
