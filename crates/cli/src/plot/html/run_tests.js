// Runs the tests of a file: functions by name, of which none may throw.

"use strict";

module.exports = (tests) => {
  for (const [name, test] of Object.entries(tests)) {
    try {
      test();
    } catch (error) {
      error.message = `${name}: ${error.message}`;
      throw error;
    }
  }
  console.log(`${Object.keys(tests).length} passed`);
};
