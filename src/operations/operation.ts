import type { z } from 'zod'
import type { ModelType } from '../schemas/models.ts'
import type { WireFormat } from './wire-format.ts'

/** What a model can be asked for, as data. */
export interface Operation<Body = unknown> {
  /** In configurations, logs and error messages. */
  readonly name: string
  /** The type of model that it requires. */
  readonly modelType: ModelType
  /** `gen_ai.operation.name` in traces and metrics. */
  readonly genAiName: string
  /** Whether models generate text for it. False: it uses no output tokens. */
  readonly producesText: boolean
  /** Whether its reply can be a stream. */
  readonly streams: boolean
  /** The request, checked as far as Corral reads it. */
  readonly request: z.ZodType<Body>
  /** Its format in Corral's own API, and of upstreams whose dialect does not define another. */
  readonly format: WireFormat
}
