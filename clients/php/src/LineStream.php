<?php
declare(strict_types=1);

namespace Coolify\Coold;

use Coolify\Coold\Exception\CooldException;
use Coolify\Coold\Exception\Disconnected;
use Coolify\Coold\Exception\Silent;
use Coolify\Coold\Http\Lines;
use Generator;
use JsonException;

/** A stream of the lane that has begun. */
final class LineStream
{
    private function __construct(
        public readonly Lines $lines,
        public readonly string $requestId,
        /** Of a build, which has no beginning of its own: the first line of its events. */
        private ?string $first = null,
    ) {
    }

    /**
     * Asks a host for a stream, and waits until it has begun.
     *
     * @param array{host_id: string, request_id: string, command: array<string, mixed>} $body
     * @throws CooldException
     * @throws Disconnected
     */
    public static function open(Client $client, array $body, bool $worksAnew): self
    {
        return $client->retries->run(static function () use ($client, $body): self {
            $lines = $client->transport->open('POST', '/v1/coold/stream', $body);
            self::begin($lines, $client->dispatchSeconds + 5);
            return new self($lines, $body['request_id']);
        }, $worksAnew);
    }

    /** Asks for the events of a build. */
    public static function ofBuild(Client $client, string $requestId): self
    {
        return $client->retries->run(static function () use ($client, $requestId): self {
            $lines = $client->transport->open('GET', '/v1/build/' . rawurlencode($requestId) . '/events', null);
            $first = $lines->next(null);
            if ($first !== null && ($lines->status() >= 300 || str_starts_with($first, '{"request_id":'))) {
                throw CooldException::of(self::decode($first) + ['code' => $lines->status()], $lines->status() < 300);
            }
            return new self($lines, $requestId, $first);
        });
    }

    /**
     * The lines behind the beginning, until the stream ends. Leaving the loop hangs up.
     *
     * @param float|null $silentSeconds the longest wait for a line; null: any
     * @param callable(): void|null $between called before each wait
     * @return Generator<int, array<string, mixed>>
     * @throws CooldException the stream broke off, and its last line says why
     */
    public function lines(?float $silentSeconds = null, ?callable $between = null): Generator
    {
        try {
            while (true) {
                if ($between !== null) {
                    $between();
                }
                $line = $this->first ?? $this->lines->next($silentSeconds);
                $this->first = null;
                if ($line === null) {
                    return;
                }
                if ($line === '') {
                    continue;
                }
                $value = self::decode($line);
                if (isset($value['error'], $value['reason'])) {
                    throw CooldException::of($value + ['request_id' => $this->requestId], true);
                }
                yield $value;
            }
        } finally {
            $this->lines->close();
        }
    }

    private static function begin(Lines $lines, float $timeoutSeconds): void
    {
        try {
            $first = $lines->next($timeoutSeconds);
        } catch (Silent $error) {
            $lines->close();
            throw new Disconnected('broker: ' . $error->getMessage());
        }
        $value = $first === null ? [] : self::decode($first);
        if (($value['status'] ?? null) !== 'ok') {
            $status = $lines->status();
            $lines->close();
            throw CooldException::of($value + ['code' => $status], $status < 300);
        }
    }

    /** @return array<string, mixed> */
    private static function decode(string $line): array
    {
        try {
            return (array) json_decode($line, true, flags: JSON_THROW_ON_ERROR);
        } catch (JsonException $error) {
            throw new Disconnected("a line of the stream is no JSON: {$error->getMessage()}");
        }
    }
}
