"""What of the configuration each part is told, in the part's own words."""

import re

from chat.backend.backend import BackendOptions
from chat.config import Config
from chat.limits.opening import connection_rates
from chat.usecases import ports
from chat.vocabulary import connecting
from realtime.protocol.machine import ConnectionSettings
from realtime.settings import Settings


def usecase_limits(config: Config) -> ports.Limits:
    """Bounds of what users do."""
    return ports.Limits(
        message_text_bytes=config.limits.message_text_max_size,
        user_id_pattern=re.compile(config.token.user_id_pattern),
        receipts_members=config.limits.receipts_members,
        mention_group_members=config.limits.mention_group_members,
        message_ttl_max_s=int(config.limits.message_ttl_max),
        presence_members=config.limits.presence_members,
    )


def backend_options(config: Config, *, uploads: bool) -> BackendOptions:
    """What a connection is given, and told."""
    client, personal, rates = config.client, config.client.subscribe_to_user_personal_channel, config.rate_limits
    sizes = ports.Limits()
    return BackendOptions(
        limits=connecting.Limits(
            message_text_bytes=config.limits.message_text_max_size,
            command_data_bytes=client.command_data_max_size,
            frame_bytes=client.frame_max_size,
            channels=client.channel_limit,
            page=200,
            conversations_on_connect=client.conversations_on_connect,
            conversations_to_recover=client.conversations_to_recover,
            upload_bytes=config.uploads.max_size if uploads else 0,
            upload_types=list(config.uploads.allowed_types),
            receipts_members=config.limits.receipts_members,
            mention_group_members=config.limits.mention_group_members,
            content_bytes=sizes.content_bytes,
            custom_bytes=sizes.custom_bytes,
            request_bytes=config.limits.request_max_size,
            recovery_entries=config.limits.recovery_max_entries,
            connections=client.user_connection_limit,
            commands_per_s=rates.connection_commands,
            commands_at_once=rates.connection_commands_burst,
            user_commands_per_s=rates.user_commands,
            user_commands_at_once=rates.user_commands_burst,
            sends_per_s=rates.user_sends,
            sends_at_once=rates.user_sends_burst,
        ),
        insecure=client.insecure,
        user_channel=client.subscribe_to_user_channel,
        personal=personal.personal_channel_namespace if personal.enabled else None,
        user_connection_limit=client.user_connection_limit,
    )


def engine_settings(config: Config) -> Settings:
    """What the engine holds every connection to."""
    client = config.client
    return Settings(
        connection=ConnectionSettings(
            connect_timeout_s=client.stale_close_delay,
            ping_interval_s=client.ping_interval,
            pong_timeout_s=client.pong_timeout,
            expired_close_delay_s=client.expired_close_delay,
            max_command_data_bytes=client.command_data_max_size,
        ),
        rates=connection_rates(config),
        max_queued_bytes=client.queue_max_size,
        max_frame_bytes=client.frame_max_size,
        max_channels=client.channel_limit,
        max_history_publications=client.history_max_publication_limit,
        max_recovery_channel_bytes=config.limits.recovery_max_size,
        max_recovery_session_bytes=config.limits.recovery_session_max_size,
        expired_subscription_grace_s=client.expired_sub_close_delay,
    )
