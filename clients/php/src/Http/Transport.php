<?php
declare(strict_types=1);

namespace Coolify\Coold\Http;

/** How requests reach the broker. */
interface Transport
{
    /**
     * Sends a request, and returns its whole answer.
     *
     * @param array<string, mixed>|null $json
     * @throws \Coolify\Coold\Exception\Disconnected
     */
    public function send(string $method, string $path, ?array $json, float $timeoutSeconds): Answer;

    /**
     * Opens an answer that comes as lines.
     *
     * @param array<string, mixed>|null $json
     */
    public function open(string $method, string $path, ?array $json): Lines;
}
