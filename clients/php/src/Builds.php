<?php
declare(strict_types=1);

namespace Coolify\Coold;

use Coolify\Coold\Build\Build;
use Coolify\Coold\Build\Built;
use Coolify\Coold\Exception\CooldException;
use Coolify\Coold\Exception\RequestIdInFlight;
use Coolify\Coold\Exception\RequestIdUnknown;
use Coolify\Coold\Exception\ResultNotReady;
use Generator;

/** The builds of the broker. The id of a build is its caller's: a worker that died asks again by it. */
final readonly class Builds
{
    public function __construct(private Client $client)
    {
    }

    /**
     * Begins a build, and returns its id. A build of that id that is known already is not begun again, also when it has ended:
     * a worker that died calls this once more. `forget` lets an id be used anew.
     *
     * @param string|null $hostId the host that builds; null: the broker picks
     * @throws CooldException
     */
    public function start(Build $build, ?string $requestId = null, ?string $hostId = null): string
    {
        if ($requestId !== null && $this->isKnown($requestId)) {
            return $requestId;
        }
        $requestId ??= Client::newId('build');
        $body = ['request_id' => $requestId, 'command' => $build->command()];
        if ($hostId !== null) {
            $body['host_id'] = $hostId;
        }
        try {
            $this->client->call('POST', '/v1/build/dispatch', $body);
        } catch (RequestIdInFlight) {
            // It is begun: by an attempt whose answer was lost, or by another worker.
        }
        return $requestId;
    }

    private function isKnown(string $requestId): bool
    {
        try {
            $this->result($requestId);
        } catch (RequestIdUnknown) {
            return false;
        } catch (CooldException) {
            // It runs, or it failed, or its host is away.
        }
        return true;
    }

    /**
     * Waits for a build to end.
     *
     * @throws ResultNotReady it has not ended within that time
     * @throws CooldException it failed, or is not known
     */
    public function wait(string $requestId, float $seconds = 1800.0): Built
    {
        $until = microtime(true) + $seconds;
        while (true) {
            $left = max($until - microtime(true), 0.0);
            try {
                return $this->result($requestId, min($left, 30.0));
            } catch (ResultNotReady $error) {
                if ($left === 0.0) {
                    throw $error;
                }
            }
        }
    }

    /**
     * The result of a build, once it has ended.
     *
     * @param float $seconds to wait for it, at most 300
     * @throws ResultNotReady
     * @throws CooldException
     */
    public function result(string $requestId, float $seconds = 0.0): Built
    {
        $path = '/v1/build/result/' . rawurlencode($requestId) . '?timeout_ms=' . (int) ($seconds * 1000);
        $answer = $this->client->call('GET', $path, null, $seconds + 10);
        return new Built(
            $requestId,
            (string) ($answer['digest'] ?? ''),
            (string) ($answer['registry_ref'] ?? ''),
            (int) ($answer['duration_ms'] ?? 0),
        );
    }

    /**
     * The progress of a build, from its first line to its end. Each has a `type`: progress, result or error.
     *
     * @param float|null $silentSeconds the longest wait for a line; null: any
     * @return Generator<int, array<string, mixed>>
     */
    public function events(string $requestId, ?float $silentSeconds = null): Generator
    {
        yield from LineStream::ofBuild($this->client, $requestId)->lines($silentSeconds);
    }

    /** Cancels a queued or running build. Returns whether there was one. */
    public function cancel(string $requestId): bool
    {
        return $this->gone('POST', '/v1/build/' . rawurlencode($requestId) . '/cancel');
    }

    /** Removes the result of a finished build. Returns whether it was known. */
    public function forget(string $requestId): bool
    {
        return $this->gone('DELETE', '/v1/build/' . rawurlencode($requestId));
    }

    private function gone(string $method, string $path): bool
    {
        try {
            $this->client->call($method, $path);
            return true;
        } catch (RequestIdUnknown) {
            return false;
        }
    }
}
