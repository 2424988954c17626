// One run in a hostile world: the daemon dies, reports come twice, late or out of order, the clock
// steps; a model beside it checks what BeamLine promises (README.md, "What it promises").
#pragma once

#include <cstdint>
#include <string>

namespace beamline::run {

// A defect of the engine around the core, planted to show that the model notices.
enum class Plant {
  kNone,
  kActBeforeSync,  // effects go out before their events are on disk
  kForgetSynced,   // the last event on disk is lost in a crash
  kAcceptStale,    // a report is taken for the attempt that runs now, whichever it was of
  kEarlyTimer,     // the clock handed to the core runs ahead
  kDecideUnseen,   // a decision counts for whatever stands, whatever was shown
  kRerunUnknown,   // after a crash what ran is started again without asking for its effect class
};

struct SimulationResult {
  std::string violation;  // empty: every promise was kept
  uint64_t hash = 0;      // of the history
  // What happened, so that a test can hold the simulation to a floor.
  int events = 0, crashes = 0, duplicates = 0, late = 0, early_timers = 0, clock_steps = 0;
  int finished = 0, waiting = 0;
  int signals = 0, waits_ended = 0, rounds = 0, undone = 0, held = 0;
  int interventions = 0, reopened = 0, requeued = 0, letters = 0;
  int asked = 0, decided = 0, refused = 0, approved = 0, expired = 0, rewound = 0;
};

// Plays the run of `seed`; equal seeds give equal results.
SimulationResult Simulate(uint64_t seed, Plant plant);

}  // namespace beamline::run
