<?php
declare(strict_types=1);

namespace Coolify\Coold\Exception;

use RuntimeException;

/**
 * A refusal, of the broker or of a host. Each reason has a class of its own below this one; a reason that is newer than this
 * client has none, and is this class.
 */
class CooldException extends RuntimeException
{
    final public function __construct(
        string $message,
        /** One of a closed set: docs/reference/errors.md. */
        public readonly string $reason,
        /** As a status of HTTP. */
        int $code,
        public readonly string $requestId = '',
        /** The field of the request that offends, where one does. */
        public readonly ?string $field = null,
        /** The host that no broker has a stream of. */
        public readonly ?string $hostId = null,
        /** Where a build was. */
        public readonly ?string $stage = null,
        /** The host answered it; otherwise the broker did. */
        public readonly bool $isFromHost = false,
    ) {
        parent::__construct($message, $code);
    }

    /** @param array<string, mixed> $envelope an envelope, or the last line of a stream */
    public static function of(array $envelope, bool $isFromHost): self
    {
        $reason = (string) ($envelope['reason'] ?? 'internal_error');
        $class = Reasons::CLASSES[$reason] ?? self::class;
        return new $class(
            (string) ($envelope['message'] ?? $envelope['error'] ?? ''),
            $reason,
            (int) ($envelope['code'] ?? 500),
            (string) ($envelope['request_id'] ?? ''),
            $envelope['field'] ?? null,
            $envelope['host_id'] ?? null,
            $envelope['stage'] ?? null,
            $isFromHost,
        );
    }
}
