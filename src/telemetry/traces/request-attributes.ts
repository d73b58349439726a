import { shortened } from '../../errors.ts'
import type { JsonObject, RequestParameters } from '../../operations/wire-format.ts'
import type { InferenceFinished } from '../event-types.ts'
import type { Names } from './semconv.ts'
import type { AttributeValue } from './span.ts'

/** The attributes of the parameters that are numbers. */
const numbers: readonly (readonly [parameter: keyof RequestParameters, attribute: string])[] = [
  ['temperature', 'gen_ai.request.temperature'],
  ['topP', 'gen_ai.request.top_p'],
  ['topK', 'gen_ai.request.top_k'],
  ['maxTokens', 'gen_ai.request.max_tokens'],
  ['frequencyPenalty', 'gen_ai.request.frequency_penalty'],
  ['presencePenalty', 'gen_ai.request.presence_penalty'],
  ['seed', 'gen_ai.request.seed'],
  ['dimensions', 'gen_ai.embeddings.dimension.count'],
  ['choices', 'gen_ai.request.choice.count'],
]

const maxStopSequences = 16

/** Adds what the format of a request says of it, under the names of the conventions. */
export function addRequestParameters(
  attributes: Record<string, AttributeValue>,
  { format, requestBody, streamed }: Pick<InferenceFinished, 'format' | 'requestBody' | 'streamed'>,
  names: Names,
): void {
  if (typeof requestBody !== 'object' || requestBody === null) return
  const parameters = format.requestParameters(requestBody as JsonObject)
  for (const [parameter, attribute] of numbers) {
    const value = parameters[parameter]
    if (typeof value === 'number') attributes[attribute] = value
  }
  const { stream, stopSequences, encodingFormat, outputType, reasoningLevel } = parameters
  if (streamed || stream) attributes['gen_ai.request.stream'] = true
  if (stopSequences) {
    attributes['gen_ai.request.stop_sequences'] = stopSequences.slice(0, maxStopSequences).map((one) => shortened(one, 64))
  }
  if (encodingFormat !== undefined) attributes['gen_ai.request.encoding_formats'] = [shortened(encodingFormat, 32)]
  if (outputType !== undefined) attributes['gen_ai.output.type'] = outputType
  if (names.reasoningLevel !== undefined && reasoningLevel !== undefined) {
    attributes[names.reasoningLevel] = shortened(reasoningLevel, 32)
  }
}
