import type { z } from 'zod'
import type { ModelType } from '../schemas/models.ts'
import type { WireFormat } from './wire-format.ts'

/** The operations of a model, as data. */
export interface Operation<Body = unknown, Result = unknown> {
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
  /** What the schema cannot express, checked once it is known that the caller may use the model. Throws ApiError 400. */
  validate?(body: Body): void
  /** For its type alone: what executing the operation resolves with. Never set. */
  readonly result?: Result
  /** Its format in Corral's own API, and of upstreams whose dialect does not define another. */
  readonly format: WireFormat
}
