"""AWS's own clients against the real binary; ./run prepares them and calls this.

THROUGHLINE_BIN names the binary. `-k WORD` picks tests.
"""

import sys
import unittest

import checklist
import merging
import options
import signup
import torture
from world import LEDGER

if __name__ == "__main__":
    loader = unittest.TestLoader()
    words = [sys.argv[place + 1] for place, word in enumerate(sys.argv[:-1]) if word == "-k"]
    loader.testNamePatterns = [f"*{word}*" for word in words] or None
    tests = unittest.TestSuite(loader.loadTestsFromModule(module) for module in (checklist, signup, merging, torture, options))
    result = unittest.TextTestRunner(verbosity=2).run(tests)
    for test, why in result.skipped:
        print(f"SKIPPED {test.id()}: {why}")
    ledger = {word: LEDGER[word] for word in ("received", "stored", "rejected", "dropped")}
    print("spans: {received} received = {stored} stored + {rejected} rejected + {dropped} dropped".format(**ledger))
    # A subtest counts for its test.
    failed = len({getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors})
    passed = max(0, result.testsRun - failed - len(result.skipped))
    print(f"{passed} passed, {failed} failed, {len(result.skipped)} skipped")
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)
