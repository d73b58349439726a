import type { Environment } from './environment.ts'
import type { Report } from './report.ts'

/** Reads OpenTelemetry's own variables; an empty one counts as not set, and an invalid one is reported and ignored, as OpenTelemetry specifies. */
export class OtelEnvironment {
  readonly #env: Environment
  readonly #report: Report

  constructor(env: Environment, report: Report) {
    this.#env = env
    this.#report = report
  }

  text(...names: readonly string[]): string | undefined {
    for (const name of names) {
      const value = this.#env[name]?.trim()
      if (value) return value
    }
    return undefined
  }

  /** True for `true` in any case; any other value is false, as OpenTelemetry specifies, and reported unless it is `false`. */
  flag(name: string): boolean | undefined {
    const value = this.text(name)?.toLowerCase()
    if (value !== undefined && value !== 'true' && value !== 'false') {
      this.#report.warnOf(name, "is neither 'true' nor 'false': treated as 'false'")
    }
    return value === undefined ? undefined : value === 'true'
  }

  number(names: readonly string[], { min, max }: { min: number; max: number }): number | undefined {
    for (const name of names) {
      const value = this.text(name)
      if (value === undefined) continue
      const number = Number(value)
      if (number >= min && number <= max) return number
      this.ignored(name, `is not a number from ${min} to ${max}`)
    }
    return undefined
  }

  choice<T extends string>(names: readonly string[], known: readonly T[]): T | undefined {
    for (const name of names) {
      const value = this.text(name)
      if (value === undefined) continue
      const found = known.find((one) => one === value.toLowerCase())
      if (found) return found
      this.ignored(name, `is not one of ${known.join(', ')}`)
    }
    return undefined
  }

  /** `key=value` pairs with commas between, values percent-encoded. */
  pairs(...names: readonly string[]): Record<string, string> {
    const pairs: Record<string, string> = {}
    for (const name of names.toReversed()) {
      for (const part of (this.text(name) ?? '').split(',')) {
        if (part.trim() === '') continue
        const equals = part.indexOf('=')
        const key = part.slice(0, equals).trim()
        const value = decode(part.slice(equals + 1).trim())
        if (equals < 1 || key === '' || value === undefined) {
          this.#report.warnOf(name, 'has a part that is not key=value: that part is ignored')
        } else pairs[key] = value
      }
    }
    return pairs
  }

  ignored(name: string, why: string): void {
    this.misread(name, `${why}: ignored`)
  }

  /** @param what is wrong with it, and what it counts as */
  misread(name: string, what: string): void {
    this.#report.warnOf(name, what)
  }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    // The one who asks says that it is none.
    return undefined
  }
}
