/** Something that the configuration requires is not available. */
export class RequirementError extends Error {
  readonly remedy: string

  constructor(message: string, remedy: string, cause: unknown) {
    super(message, { cause })
    this.name = 'RequirementError'
    this.remedy = remedy
  }
}
