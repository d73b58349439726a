import type { LoadedConfig } from '../../config/load.ts'
import type { Egress } from '../../egress/egress.ts'

/** `ok`: as it should be. `warning`: works, and is worth a look. `failed`: something will not work. */
export type FindingState = 'ok' | 'warning' | 'failed'

/** One thing that was looked at. Holds no secret. */
export interface DoctorFinding {
  readonly state: FindingState
  /** What was looked at: `provider groq`, `port 8321`. */
  readonly subject: string
  readonly message: string
  /** What to do about it; there with everything that is not `ok`. */
  readonly remedy?: string
}

/** What checks look at. */
export interface DoctorContext {
  readonly loaded: LoadedConfig
  /** The operator's way out; what it hears of other machines' clocks goes to `clocks`. */
  readonly egress: Egress
  readonly clocks: readonly ClockReading[]
  readonly signal: AbortSignal
}

/** The time that another host reported in a response. */
export interface ClockReading {
  readonly host: string
  /** Milliseconds that this machine's clock is ahead of it; exact to about a second. */
  readonly ahead: number
}

/** Looks at one thing and changes nothing. What it throws becomes a `failed` finding. */
export interface DoctorCheck {
  readonly name: string
  find(context: DoctorContext): Promise<readonly DoctorFinding[]>
}

export const ok = (subject: string, message: string): DoctorFinding => ({ state: 'ok', subject, message })

export const warning = (subject: string, message: string, remedy: string): DoctorFinding => ({ state: 'warning', subject, message, remedy })

export const failed = (subject: string, message: string, remedy: string): DoctorFinding => ({ state: 'failed', subject, message, remedy })
