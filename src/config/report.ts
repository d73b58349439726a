/** A position in a file; lines and columns count from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** The keys and indices that lead to a value, as the file counts them. */
export type Path = readonly (string | number)[]

/** One thing that is wrong with a configuration. Holds no value of an environment variable. */
export interface ConfigIssue {
  /** The file's path as it was given, a distribution's name, a flag (`--port`) or a variable's name. */
  readonly file: string
  /** 0 when the issue has no place in a file. */
  readonly line: number
  readonly column: number
  /** E.g. `providers.inference[2].config.base_url`; empty for the file as a whole. */
  readonly path: string
  readonly message: string
  /** The known key or name that was probably meant. */
  readonly nearest?: string | undefined
}

type WarningKind =
  /** An unknown key. An error under `--strict`. */
  | 'unknown_key'
  /** Known, but this version does nothing with it yet. */
  | 'not_served'
  /** A mistake in a part that is not served, or a provider of a type that is not known. An error under `--strict`. */
  | 'invalid'
  /** Worth a look: an old spelling, an ignored setting. */
  | 'notice'

/** What a configuration asks for that will not happen, or not as written. */
export interface ConfigWarning extends ConfigIssue {
  readonly kind: WarningKind
}

/** Everything that is wrong with a configuration, at once. `message` has one line for each error. */
export class ConfigErrors extends Error {
  readonly issues: readonly ConfigIssue[]
  /** What was warned of until then; often the cause of an error. */
  readonly warnings: readonly ConfigWarning[]

  constructor(issues: readonly ConfigIssue[], warnings: readonly ConfigWarning[] = []) {
    super(issues.map(formatIssue).join('\n'))
    this.name = 'ConfigErrors'
    this.issues = issues
    this.warnings = warnings
  }
}

/** `run.yaml:3:5 server.prot: unknown key. Did you mean 'port'?` */
export function formatIssue(issue: ConfigIssue): string {
  const place = issue.line > 0 ? `${issue.file}:${issue.line}:${issue.column}` : issue.file
  const path = issue.path === '' ? '' : ` ${issue.path}`
  const hint = issue.nearest === undefined ? '' : ` Did you mean '${issue.nearest}'?`
  return `${place}${path}: ${issue.message}${hint}`
}

function formatPath(path: Path): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else if (/^[A-Za-z0-9_-]+$/.test(step)) text += text === '' ? step : `.${step}`
    else text += `[${JSON.stringify(step)}]`
  }
  return text
}

export function inFileOrder<T extends ConfigIssue>(issues: readonly T[]): T[] {
  return issues.toSorted((a, b) => a.line - b.line || a.column - b.column)
}

interface IssuePlace {
  readonly path: Path
  readonly at: Position
}

/** Collects errors and warnings while a configuration is read; nothing throws on its own. */
export class Report {
  readonly errors: ConfigIssue[] = []
  readonly warnings: ConfigWarning[] = []
  readonly #file: string
  readonly #hidden = new Set<string>()

  constructor(file: string) {
    this.#file = file
  }

  /** Keeps a variable's value out of every later message, also out of those that a provider's own schema makes. */
  hide(value: string): void {
    if (value.length >= 6 && !unmaskable.test(value)) this.#hidden.add(value)
  }

  error(place: IssuePlace, message: string, nearest?: string): void {
    this.#push(this.errors, this.#issue(place, message, nearest))
  }

  warn(kind: WarningKind, place: IssuePlace, message: string, nearest?: string): void {
    this.#push(this.warnings, { kind, ...this.#issue(place, message, nearest) })
  }

  /** An error outside the file: of a flag or a variable. */
  errorOf(origin: string, message: string, nearest?: string): void {
    this.#push(this.errors, { file: origin, line: 0, column: 0, path: '', message: this.mask(message), nearest })
  }

  /** A warning outside the file. */
  warnOf(origin: string, message: string): void {
    this.#push(this.warnings, { kind: 'notice', file: origin, line: 0, column: 0, path: '', message: this.mask(message) })
  }

  mask(text: string): string {
    let masked = text
    for (const value of this.#hidden) masked = masked.replaceAll(value, '***')
    return masked
  }

  throwIfWrong(): void {
    if (this.errors.length > 0) throw new ConfigErrors(inFileOrder(this.errors), inFileOrder(this.warnings))
  }

  /** The report for a part of the file that is not served: an error there is a warning here, unless the check is strict. */
  forUnserved(strictness: 'strict' | 'lenient'): Report {
    return strictness === 'strict' ? this : new UnservedReport(this)
  }

  #issue({ path, at }: IssuePlace, message: string, nearest: string | undefined): ConfigIssue {
    const { line, column } = at
    return { file: this.#file, line, column, path: this.mask(formatPath(path)), message: this.mask(message), nearest }
  }

  /** Anchors and shared sections lead to the same place more than once. */
  #push<T extends ConfigIssue>(list: T[], issue: T): void {
    const same = (other: T) =>
      other.file === issue.file && other.line === issue.line && other.path === issue.path && other.message === issue.message
    if (!list.some(same)) list.push(issue)
  }
}

/** Nothing in a part that is not served keeps the server from starting. */
class UnservedReport extends Report {
  readonly #parent: Report

  constructor(parent: Report) {
    super('')
    this.#parent = parent
  }

  override hide(value: string): void {
    this.#parent.hide(value)
  }

  override mask(text: string): string {
    return this.#parent.mask(text)
  }

  override error(place: IssuePlace, message: string, nearest?: string): void {
    this.#parent.warn('invalid', place, message, nearest)
  }

  override warn(kind: WarningKind, place: IssuePlace, message: string, nearest?: string): void {
    this.#parent.warn(kind, place, message, nearest)
  }
}

/** Words whose masking would only garble messages. */
const unmaskable = /^(true|false|null|none|\d{1,5})$/i
