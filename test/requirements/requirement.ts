interface Requirement {
  /** Where it comes from: a section of the design, Llama Stack's behaviour, a report from the field, a published specification. */
  source: string
  /** What is done. */
  when: string
  /** What is observed. */
  observed: string
  /** Why it does not hold yet. Its test is a `test.failing`, so that the day it passes the build says so. */
  knownFailure?: string
}

export type Requirements = Readonly<Record<string, Requirement>>
