//! A test for each number of TP-469 that a controller can check.

use super::world::check;

macro_rules! checks {
    ($($name:ident: $section:literal, $place:literal;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                check($section, $place).await;
            }
        )*

        /// The numbers of the tests above.
        const TESTED: &[(u16, u16)] = &[$(($section, $place)),*];
    };
}

checks! {
    tp469_1_1_add_of_one_object_all_or_nothing: 1, 1;
    tp469_1_2_add_of_one_object_partial_allowed: 1, 2;
    tp469_1_3_add_all_or_nothing_with_a_wrong_value_that_is_required: 1, 3;
    tp469_1_4_add_all_or_nothing_to_an_unknown_table: 1, 4;
    tp469_1_5_add_of_two_objects_all_or_nothing: 1, 5;
    tp469_1_6_add_of_two_objects_all_or_nothing_one_to_an_unknown_table: 1, 6;
    tp469_1_7_add_of_two_objects_all_or_nothing_one_with_a_wrong_value: 1, 7;
    tp469_1_8_add_partial_allowed_with_a_wrong_value_that_is_required: 1, 8;
    tp469_1_9_add_of_two_objects_partial_allowed_one_of_which_fails: 1, 9;
    tp469_1_10_add_below_an_object_named_by_its_unique_keys: 1, 10;
    tp469_1_11_set_of_one_parameter_all_or_nothing: 1, 11;
    tp469_1_12_set_of_one_parameter_partial_allowed: 1, 12;
    tp469_1_13_set_of_two_objects_all_or_nothing: 1, 13;
    tp469_1_14_set_all_or_nothing_of_an_unknown_parameter: 1, 14;
    tp469_1_15_set_of_two_objects_all_or_nothing_one_with_an_unknown_parameter: 1, 15;
    tp469_1_16_set_of_two_objects_partial_allowed_one_with_an_unknown_parameter: 1, 16;
    tp469_1_17_set_partial_allowed_where_a_parameter_that_is_not_required_is_unknown: 1, 17;
    tp469_1_18_set_of_an_object_named_by_its_unique_keys: 1, 18;
    tp469_1_19_set_by_a_wildcard: 1, 19;
    tp469_1_20_set_by_a_wildcard_all_or_nothing_of_an_unknown_parameter: 1, 20;
    tp469_1_21_set_by_a_wildcard_partial_allowed_of_a_wrong_value: 1, 21;
    tp469_1_22_set_by_a_search: 1, 22;
    tp469_1_23_set_by_a_search_that_finds_nothing: 1, 23;
    tp469_1_24_delete_of_one_object_all_or_nothing: 1, 24;
    tp469_1_25_delete_all_or_nothing_of_an_instance_that_is_not_there: 1, 25;
    tp469_1_26_delete_all_or_nothing_of_an_unknown_object: 1, 26;
    tp469_1_27_delete_of_two_objects_all_or_nothing: 1, 27;
    tp469_1_28_delete_of_two_objects_all_or_nothing_one_of_them_unknown: 1, 28;
    tp469_1_29_delete_partial_allowed_of_an_instance_that_is_not_there: 1, 29;
    tp469_1_30_delete_partial_allowed_of_an_unknown_object: 1, 30;
    tp469_1_31_delete_of_two_objects_partial_allowed_one_of_them_unknown: 1, 31;
    tp469_1_32_delete_of_two_objects_partial_allowed_one_of_them_not_there: 1, 32;
    tp469_1_33_delete_below_an_object_named_by_its_unique_keys: 1, 33;
    tp469_1_34_delete_by_a_wildcard: 1, 34;
    tp469_1_35_delete_by_a_search: 1, 35;
    tp469_1_36_get_of_one_parameter: 1, 36;
    tp469_1_37_get_of_two_parameters_of_one_object: 1, 37;
    tp469_1_38_get_of_parameters_of_two_objects: 1, 38;
    tp469_1_39_get_of_an_object_with_what_is_below_it: 1, 39;
    tp469_1_40_get_of_an_instance: 1, 40;
    tp469_1_41_get_of_an_unknown_parameter: 1, 41;
    tp469_1_42_get_of_a_parameter_and_an_unknown_one: 1, 42;
    tp469_1_43_get_of_an_object_named_by_its_unique_keys: 1, 43;
    tp469_1_44_get_of_a_parameter_by_a_wildcard: 1, 44;
    tp469_1_45_get_of_objects_by_a_wildcard: 1, 45;
    tp469_1_46_get_by_a_search_for_what_is_equal: 1, 46;
    tp469_1_47_get_by_a_search_for_what_is_not_equal: 1, 47;
    tp469_1_48_get_by_a_search_for_what_is_greater: 1, 48;
    tp469_1_49_get_by_a_search_for_what_is_less: 1, 49;
    tp469_1_50_get_by_a_search_for_what_is_greater_or_equal: 1, 50;
    tp469_1_51_get_by_a_search_for_what_is_less_or_equal: 1, 51;
    tp469_1_52_a_value_change_is_notified: 1, 52;
    tp469_1_53_without_its_subscription_nothing_is_notified: 1, 53;
    tp469_1_54_a_notification_is_retried_until_it_is_answered: 1, 54;
    tp469_1_55_a_subscription_ends_by_itself: 1, 55;
    tp469_1_56_the_retries_of_a_notification_end: 1, 56;
    tp469_1_57_the_creation_of_an_object_is_notified: 1, 57;
    tp469_1_58_the_deletion_of_an_object_is_notified: 1, 58;
    tp469_1_59_periodic_is_sent_at_its_interval: 1, 59;
    tp469_1_60_an_onboardrequest_is_sent_at_request: 1, 60;
    tp469_1_61_reboot_with_a_response: 1, 61;
    tp469_1_62_reboot_without_a_response: 1, 62;
    tp469_1_63_timer_of_a_controller_s_command: 1, 63;
    tp469_1_64_an_asynchronous_command_with_a_response: 1, 64;
    tp469_1_65_an_asynchronous_command_without_a_response: 1, 65;
    tp469_1_66_getinstances_of_the_first_level: 1, 66;
    tp469_1_67_getinstances_of_all_levels: 1, 67;
    tp469_1_68_getinstances_of_two_tables: 1, 68;
    tp469_1_70_getinstances_by_a_wildcard: 1, 70;
    tp469_1_71_getinstances_by_a_search: 1, 71;
    tp469_1_72_getsupporteddm_of_an_object_and_all_below_it: 1, 72;
    tp469_1_73_getsupporteddm_of_the_first_level: 1, 73;
    tp469_1_74_getsupporteddm_of_the_first_level_without_lists: 1, 74;
    tp469_1_75_getsupporteddm_of_two_tables_first_level: 1, 75;
    tp469_1_76_getsupporteddm_of_everything: 1, 76;
    tp469_1_77_getsupporteddm_of_an_unknown_object: 1, 77;
    tp469_1_78_subscriptions_of_a_controller_that_is_removed_go_with_it: 1, 78;
    tp469_1_79_scheduletimer_with_its_argument: 1, 79;
    tp469_1_80_getsupportedprotocol: 1, 80;
    tp469_1_81_add_makes_up_the_unique_keys_that_it_is_not_given: 1, 81;
    tp469_1_82_get_by_a_search_in_an_empty_table: 1, 82;
    tp469_1_83_getinstances_by_a_search_that_finds_nothing: 1, 83;
    tp469_1_84_a_subscription_by_a_search_is_notified: 1, 84;
    tp469_1_86_get_by_a_search_that_finds_nothing: 1, 86;
    tp469_1_87_get_of_an_empty_table: 1, 87;
    tp469_1_88_add_with_an_alias_that_is_none_fails: 1, 88;
    tp469_1_89_get_to_a_depth: 1, 89;
    tp469_1_90_delete_by_a_search_that_finds_nothing: 1, 90;
    tp469_1_91_an_unknown_argument_does_no_harm: 1, 91;
    tp469_1_93_a_subscription_writes_settings: 1, 93;
    tp469_1_94_a_subscription_notifies_and_writes_settings: 1, 94;
    tp469_1_95_add_below_objects_named_by_a_search: 1, 95;
    tp469_1_96_a_unique_key_that_is_not_functional_does_not_change: 1, 96;
    tp469_1_97_getsupporteddm_of_all_commands: 1, 97;
    tp469_1_98_getsupporteddm_of_all_events: 1, 98;
    tp469_1_99_getsupporteddm_of_unique_keys: 1, 99;
    tp469_1_100_a_command_without_an_argument_that_it_needs: 1, 100;
    tp469_1_101_on_boarding_is_complete_when_the_controller_says_so: 1, 101;
    tp469_1_102_an_onboardrequest_is_repeated_until_on_boarding_is_complete: 1, 102;
    tp469_1_103_an_onboardrequest_is_not_repeated_without_a_restart_time: 1, 103;
    tp469_1_104_a_parameter_that_is_written_once_does_not_change: 1, 104;
    tp469_1_105_getsupporteddm_of_a_command: 1, 105;
    tp469_1_106_getsupporteddm_of_an_event: 1, 106;
    tp469_1_107_getsupporteddm_of_a_parameter: 1, 107;
    tp469_2_1_a_record_from_the_agent_s_own_endpoint_is_not_answered: 2, 1;
    tp469_2_2_a_record_for_another_endpoint_is_not_answered: 2, 2;
    tp469_2_7_wrong_signatures_of_records: 2, 7;
    tp469_2_8_expired_certificates: 2, 8;
    tp469_2_9_a_controller_that_is_not_known_has_the_untrusted_role: 2, 9;
    tp469_2_10_a_role_can_be_added: 2, 10;
    tp469_2_11_adding_is_allowed_by_a_permission: 2, 11;
    tp469_2_12_adding_is_refused_by_a_permission: 2, 12;
    tp469_2_13_deleting_is_allowed_by_a_permission: 2, 13;
    tp469_2_14_deleting_is_refused_by_a_permission: 2, 14;
    tp469_2_15_writing_is_allowed_by_a_permission: 2, 15;
    tp469_2_16_writing_is_refused_by_a_permission: 2, 16;
    tp469_2_17_a_command_is_allowed_by_a_permission: 2, 17;
    tp469_2_18_a_command_is_refused_by_a_permission: 2, 18;
    tp469_2_19_a_value_change_is_told_where_a_permission_allows_it: 2, 19;
    tp469_2_20_a_value_change_is_not_told_where_a_permission_refuses_it: 2, 20;
    tp469_2_21_of_overlapping_permissions_the_highest_order_decides: 2, 21;
    tp469_2_22_a_get_leaves_out_what_may_not_be_read: 2, 22;
    tp469_2_23_add_by_a_search_partial_allowed_where_one_table_is_refused: 2, 23;
    tp469_2_24_add_by_a_search_all_or_nothing_where_one_table_is_refused: 2, 24;
    tp469_2_25_add_without_a_parameter_that_may_not_be_written: 2, 25;
    tp469_2_26_add_with_a_required_parameter_that_may_not_be_written: 2, 26;
    tp469_2_27_secured_values_are_shown_to_secured_roles_alone: 2, 27;
    tp469_3_1_what_is_no_record_does_no_harm: 3, 1;
    tp469_3_3_a_wrong_signature_at_the_start_of_a_session: 3, 3;
    tp469_3_4_integrity_of_records_by_tls: 3, 4;
    tp469_3_5_a_handshake_that_fails: 3, 5;
    tp469_3_7_certificates_of_endpoints: 3, 7;
    tp469_3_8_a_session_context_begins: 3, 8;
    tp469_3_9_a_record_of_another_session_context_begins_that_one: 3, 9;
    tp469_3_10_a_session_context_ends: 3, 10;
    tp469_3_11_records_are_taken_in_their_order: 3, 11;
    tp469_3_12_a_record_is_repeated_when_it_is_asked_for_again: 3, 12;
    tp469_3_13_payload_security_does_not_change_within_a_session: 3, 13;
    tp469_3_14_repetitions_have_an_end: 3, 14;
    tp469_3_15_a_record_that_comes_again_is_not_answered_again: 3, 15;
    tp469_6_1_the_profiles_of_stomp_are_supported: 6, 1;
    tp469_6_2_a_session_begins_with_stomp: 6, 2;
    tp469_6_3_retries_of_the_stomp_connection: 6, 3;
    tp469_6_4_a_send_says_what_it_is_and_where_answers_go: 6, 4;
    tp469_6_5_the_destination_that_the_broker_gives: 6, 5;
    tp469_6_6_the_destination_of_the_data_model: 6, 6;
    tp469_6_7_without_a_destination_the_session_ends: 6, 7;
    tp469_6_8_heart_beats: 6, 8;
    tp469_6_9_what_is_no_record_does_no_harm: 6, 9;
    tp469_6_10_a_destination_that_changes: 6, 10;
    tp469_6_11_stomp_over_tls: 6, 11;
    tp469_6_12_a_connection_begins_with_a_connect_record: 6, 12;
    tp469_7_1_a_connection_is_made_and_carries_messages: 7, 1;
    tp469_7_2_a_controller_has_one_connection_at_a_time: 7, 2;
    tp469_7_4_a_close_is_answered_by_a_close: 7, 4;
    tp469_7_6_what_is_no_record_ends_the_connection_with_1003: 7, 6;
    tp469_7_7_a_ping_is_answered_a_pong_does_no_harm: 7, 7;
    tp469_7_8_a_connection_that_breaks_is_tried_again_in_time: 7, 8;
    tp469_7_10_a_connection_begins_with_a_connect_record: 7, 10;
    tp469_7_11_a_handshake_without_the_extension_bbf_usp_protocol_is_good: 7, 11;
    tp469_7_12_a_record_may_come_in_fragments: 7, 12;
    tp469_9_2_a_certificate_is_added_shown_and_deleted: 9, 2;
    tp469_9_8_a_command_that_is_under_way_can_be_cancelled: 9, 8;
    tp469_9_9_a_controller_that_is_added_is_told_of_the_agent: 9, 9;
    tp469_9_10_boot_tells_the_boot_parameters: 9, 10;
    tp469_9_11_scheduletimer_tells_its_end: 9, 11;
    tp469_10_1_json_over_http: 10, 1;
    tp469_10_2_json_over_https: 10, 2;
    tp469_10_3_csv_over_http: 10, 3;
    tp469_10_4_csv_over_https: 10, 4;
    tp469_10_5_parameters_in_the_uri_over_http: 10, 5;
    tp469_10_6_parameters_in_the_uri_over_https: 10, 6;
    tp469_10_7_retries_over_http: 10, 7;
    tp469_10_8_parameters_by_a_wildcard_over_http: 10, 8;
    tp469_10_9_an_object_over_http: 10, 9;
    tp469_10_10_a_report_by_push: 10, 10;
    tp469_10_11_a_report_by_push_of_parameters_by_a_wildcard: 10, 11;
    tp469_10_12_a_report_by_push_of_an_object: 10, 12;
    tp469_10_13_reports_over_mqtt: 10, 13;
    tp469_11_1_the_profiles_of_mqtt_are_supported: 11, 1;
    tp469_11_2_a_session_begins_with_connect: 11, 2;
    tp469_11_3_mqtt_over_tls: 11, 3;
    tp469_11_4_a_client_id_that_the_broker_gives: 11, 4;
    tp469_11_5_the_client_id_stays: 11, 5;
    tp469_11_6_retries_of_the_mqtt_connection_after_a_restart: 11, 6;
    tp469_11_7_keep_alive: 11, 7;
    tp469_11_8_the_subscriptions_of_a_new_connection: 11, 8;
    tp469_11_9_a_subscription_that_is_added: 11, 9;
    tp469_11_10_without_a_topic_the_session_ends: 11, 10;
    tp469_11_11_suback_with_errors_ends_the_session: 11, 11;
    tp469_11_12_a_publish_says_what_it_is_and_where_answers_go: 11, 12;
    tp469_11_13_qos_of_subscriptions: 11, 13;
    tp469_11_14_answers_go_to_the_topic_that_the_controller_names: 11, 14;
    tp469_11_15_both_content_types_are_taken: 11, 15;
    tp469_11_16_retries_of_the_mqtt_connection: 11, 16;
    tp469_11_17_a_connection_begins_with_a_connect_record: 11, 17;
}

#[test]
fn every_check_that_can_be_carried_out_has_a_test() {
    let numbers =
        dragoman::conformance::all().iter().filter(|check| check.can_run()).map(|check| check.number);
    let missing: Vec<String> =
        numbers.filter(|number| !TESTED.contains(&(number.0, number.1))).map(|it| it.to_string()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
