/**
 * A reporter that says now and then how far the tests are. Without a terminal the default one is silent until a file is done,
 * and the longest files come first.
 */
const EVERY_MS = 10_000

export default class Progress {
  #began = performance.now()
  #files = 0
  #done = 0
  #tests = 0
  #failed = 0
  #timer

  onTestRunStart(specifications) {
    this.#files = specifications.length
    this.#tell()
    // This timer must not keep the process alive.
    this.#timer = setInterval(() => this.#tell(), EVERY_MS).unref()
  }

  onTestCaseResult(testCase) {
    this.#tests++
    if (testCase.result().state === 'failed') this.#failed++
  }

  onTestModuleEnd() {
    this.#done++
  }

  onTestRunEnd() {
    clearInterval(this.#timer)
  }

  #tell() {
    const seconds = Math.round((performance.now() - this.#began) / 1000)
    const failed = this.#failed > 0 ? `, ${this.#failed} failed` : ''
    console.log(`       ${seconds} s: ${this.#tests} tests, ${this.#done} of ${this.#files} files${failed}`)
  }
}
