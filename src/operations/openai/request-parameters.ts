import type { JsonObject, RequestParameters } from '../wire-format.ts'

type NumberParameter = 'temperature' | 'topP' | 'topK' | 'maxTokens' | 'frequencyPenalty' | 'presencePenalty' | 'seed' | 'dimensions'

const numbers: readonly (readonly [field: string, parameter: NumberParameter])[] = [
  ['temperature', 'temperature'],
  ['top_p', 'topP'],
  ['top_k', 'topK'],
  ['max_tokens', 'maxTokens'],
  ['max_completion_tokens', 'maxTokens'],
  ['frequency_penalty', 'frequencyPenalty'],
  ['presence_penalty', 'presencePenalty'],
  ['seed', 'seed'],
  ['dimensions', 'dimensions'],
]

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

export function requestParameters(body: JsonObject): RequestParameters {
  const parameters: Writable<RequestParameters> = {}
  for (const [field, parameter] of numbers) {
    const value = body[field]
    if (typeof value === 'number' && Number.isFinite(value)) parameters[parameter] = value
  }
  const { n, stop, encoding_format: encoding, response_format: format, reasoning_effort: effort } = body
  if (body['stream'] === true) parameters.stream = true
  if (typeof n === 'number' && n !== 1) parameters.choices = n
  const stops: unknown = typeof stop === 'string' ? [stop] : stop
  if (Array.isArray(stops) && stops.every((one) => typeof one === 'string')) parameters.stopSequences = stops
  if (typeof encoding === 'string') parameters.encodingFormat = encoding
  const type = typeof format === 'object' && format !== null ? (format as JsonObject)['type'] : undefined
  if (type === 'json_object' || type === 'json_schema') parameters.outputType = 'json'
  else if (type === 'text') parameters.outputType = 'text'
  if (typeof effort === 'string') parameters.reasoningLevel = effort
  return parameters
}
